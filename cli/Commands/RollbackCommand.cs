using System.CommandLine;
using Agent.Artifacts;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RollbackCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION") { Description = "a release that lies on the host; left out: the one before", Arity = ArgumentArity.ZeroOrOne };
        var expect = new Option<string>("--expect") { Description = "refuse unless this version runs", HelpName = "VERSION", DefaultValueFactory = _ => "" };
        var wait = new Option<bool>("--wait") { Description = "wait for a deployment that is under way, instead of being refused" };
        var point = new Option<string>("--restore-database") { Description = "put the database back to this restore point on the way; what was written since is lost; takes the role admin", HelpName = "POINT", DefaultValueFactory = _ => "" };
        var ignore = new Option<bool>("--ignore-schema") { Description = "even where the database has seen migrations that the release cannot live with; takes the role admin" };
        var rollout = new RolloutOptions(canGoBack: false);
        return verbs.Asking(
            new Verb("rollback", "Goes back to an earlier release that is still on the host. Following leaves what was rolled back alone until something newer comes. Where --host means several hosts or a group, it is a rollout, as of deploy.",
                "agentctl rollback", "agentctl rollback v1.1.0 --app shop", "agentctl rollback --expect v1.2.0", "agentctl rollback --restore-database shop-12", "agentctl rollback --host prod --batch 50%"),
            [version, verbs.App, expect, wait, point, ignore, .. rollout.All],
            (call, cancellationToken) =>
            {
                rollout.RefuseForOne(call.Parsed);
                var request = new RollbackRequest
                {
                    App = call.App,
                    Version = call.Parsed.GetValue(version) ?? "",
                    Expect = call.Parsed.GetValue(expect)!,
                    Wait = call.Parsed.GetValue(wait),
                    RestorePoint = call.Parsed.GetValue(point)!,
                    IgnoreSchema = call.Parsed.GetValue(ignore),
                };
                return DeploymentStream.LastingAsync(
                    call, id => request.Request = id, token => call.Agent.StreamAsync((client, options) => client.Rollback(request, options), token), cancellationToken);
            },
            (call, cancellationToken) =>
            {
                if (call.Parsed.GetValue(expect)!.Length > 0 || call.Parsed.GetValue(point)!.Length > 0 || call.Parsed.GetValue(ignore))
                    throw new OperatorException(ExitCode.Usage, "--expect, --restore-database and --ignore-schema are for one host", "leave them out, or name one host with --host");
                var plan = new RolloutPlan { Version = call.Parsed.GetValue(version) ?? "", Rollback = true };
                return RolloutRun.BeginAsync(call, rollout, plan, again: false, cancellationToken);
            });
    }
}
