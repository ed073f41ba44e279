using Agent.Cli.Rendering;
using Agent.Cli.Rollouts;
using Agent.Protos;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RolloutsCommand
{
    public static Verb Create(Verbs verbs) => verbs.AskingAll(
        new Verb("rollouts", "Lists rollouts, as all hosts that are asked know them together; the last begun first. Left out, --host is all.",
            "agentctl rollouts", "agentctl rollouts --host prod --app shop"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(HostsCall call, CancellationToken cancellationToken)
    {
        IReadOnlyList<HostAnswer<ListRolloutsResponse>> answers = await RolloutSearch.AskAsync(call, "", cancellationToken);
        IReadOnlyList<KnownRollout> all = KnownRollout.Join(RolloutSearch.Findings(answers), [.. answers.Where(answer => answer.Error is not null).Select(answer => answer.Host.Name)]);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(all, (w, list) => w.Array("rollouts", list, (one, known) =>
            {
                JsonMessages.Rollout(one, known.Rollout);
                one.WriteNumber("hosts", known.Hosts.Length);
                one.WriteNumber("live", known.Count(Stand.Live));
            })));
        }
        else
        {
            var table = new Table("ID", "APP", "VERSION", "STATE", "LIVE", "STARTED", "DRIVER", "REASON");
            foreach ((Rollout rollout, var hosts) in all)
            {
                table.Add(rollout.Id, rollout.App, rollout.Plan.Version.Length > 0 ? rollout.Plan.Version : "the one before", RolloutWords.Of(rollout.State),
                    $"{hosts.Count(host => host.Stand == Stand.Live)}/{hosts.Length}", Human.Time(rollout.Started), rollout.Driver, rollout.Reason);
            }
            table.Write(call.Terminal);
        }
        FanOut.TellErrors(call, answers);
        return FanOut.Worst(answers.Select(answer => answer.Exit));
    }
}
