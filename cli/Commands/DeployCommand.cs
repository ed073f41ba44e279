using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DeployCommand
{
    private static OperatorException NoDryRun() => new(ExitCode.Usage, "--fail-on-warning is for --dry-run", "leave it out, or add --dry-run");

    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION") { Description = "what to deploy; left out: what the app follows", Arity = ArgumentArity.ZeroOrOne };
        var force = new Option<bool>("--force") { Description = "also a release that is quarantined here or above max_version; takes the role admin" };
        var expect = new Option<string>("--expect") { Description = "refuse unless this version runs; none: unless nothing does", HelpName = "VERSION", DefaultValueFactory = _ => "" };
        var wait = new Option<bool>("--wait") { Description = "wait for a deployment that is under way, instead of being refused" };
        var dryRun = new Option<bool>("--dry-run") { Description = "show what it would do, migrations and refusals; change nothing" };
        Option<bool> failOnWarning = DatabasePlanCommand.FailOnWarning();
        var rollout = new RolloutOptions(canGoBack: true);
        return verbs.Asking(
            new Verb("deploy",
                "Deploys a release, and shows each step until its outcome. Ctrl-C stops the showing, not the deployment. Where --host means several hosts or a group, it is a rollout: "
                + "batch by batch, within limits, until a host fails; the hosts keep it, so that 'rollout resume' can go on with it from any machine.",
                "agentctl deploy v1.2.0", "agentctl deploy --app shop", "agentctl deploy v1.2.0 --force", "agentctl deploy v1.2.0 --expect v1.1.0 --wait", "agentctl deploy v1.2.0 --dry-run --fail-on-warning",
                "agentctl deploy v1.2.0 --host prod --canary 1 --soak 10m --batch 25% --rollback-all"),
            [version, verbs.App, force, expect, wait, dryRun, failOnWarning, .. rollout.All],
            OneAsync,
            (call, cancellationToken) =>
            {
                if (call.Parsed.GetValue(dryRun)) return FanOut.EachAsync(call, OneAsync, cancellationToken);
                if (call.Parsed.GetValue(failOnWarning)) throw NoDryRun();
                string wanted = call.Parsed.GetValue(version) ?? "";
                if (wanted.Length == 0) throw new OperatorException(ExitCode.Usage, "which version? Several hosts need not follow the same", "name it: agentctl deploy VERSION --host HOSTS");
                if (call.Parsed.GetValue(expect)!.Length > 0) throw new OperatorException(ExitCode.Usage, "--expect is for one host", "leave it out, or name one host with --host");
                bool again = call.Parsed.GetValue(force);
                return RolloutRun.BeginAsync(call, rollout, new RolloutPlan { Version = wanted, Force = again }, again, cancellationToken);
            });

        Task<int> OneAsync(AgentCall call, CancellationToken cancellationToken)
        {
            var request = new DeployRequest
            {
                App = call.App,
                Version = call.Parsed.GetValue(version) ?? "",
                Force = call.Parsed.GetValue(force),
                Expect = call.Parsed.GetValue(expect)!,
                Wait = call.Parsed.GetValue(wait),
            };
            if (call.Parsed.GetValue(dryRun))
            {
                var plan = new PlanMigrationsRequest { App = request.App, Version = request.Version, Deployment = true, Expect = request.Expect, Force = request.Force };
                return MigrationText.PlanAsync(call, plan, call.Parsed.GetValue(failOnWarning), cancellationToken);
            }
            if (call.Parsed.GetValue(failOnWarning)) throw NoDryRun();
            rollout.RefuseForOne(call.Parsed);
            return DeploymentStream.LastingAsync(
                call, id => request.Request = id, token => call.Agent.StreamAsync((client, options) => client.Deploy(request, options), token), cancellationToken);
        }
    }
}
