using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DeployCommand
{
    private const string DigestPrefix = "sha256:";

    private static OperatorException NoDryRun() => new(ExitCode.Usage, "--fail-on-warning is for --dry-run", "leave it out, or add --dry-run");

    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION|PATH") { Description = "what to deploy: a version, the sha256:... of what was pushed, or a directory or .tar.gz, which is pushed first; left out: what the app follows", Arity = ArgumentArity.ZeroOrOne };
        var force = new Option<bool>("--force") { Description = "also a release that is quarantined here or above max_version; takes the role admin" };
        var expect = new Option<string>("--expect") { Description = "refuse unless this version runs; none: unless nothing does", HelpName = "VERSION", DefaultValueFactory = _ => "" };
        var wait = new Option<bool>("--wait") { Description = "wait for a deployment that is under way, instead of being refused" };
        var dryRun = new Option<bool>("--dry-run") { Description = "show what it would do, migrations and refusals; change nothing" };
        Option<bool> failOnWarning = DatabasePlanCommand.FailOnWarning();
        var push = new PushOptions();
        var rollout = new RolloutOptions(canGoBack: true);
        return verbs.Asking(
            new Verb("deploy",
                "Deploys a release, and shows each step until its outcome. Ctrl-C stops the showing, not the deployment. Where --host means several hosts or a group, it is a rollout: "
                + "batch by batch, within limits, until a host fails; the hosts keep it, so that 'rollout resume' can go on with it from any machine.",
                "agentctl deploy v1.2.0", "agentctl deploy --app shop", "agentctl deploy v1.2.0 --force", "agentctl deploy v1.2.0 --expect v1.1.0 --wait", "agentctl deploy v1.2.0 --dry-run --fail-on-warning",
                "agentctl deploy v1.2.0 --host prod --canary 1 --soak 10m --batch 25% --rollback-all", "agentctl deploy ./build --app shop --unsigned --host dev"),
            [version, verbs.App, force, expect, wait, dryRun, failOnWarning, .. rollout.All, .. push.All],
            OneAsync,
            SeveralAsync);

        async Task<int> SeveralAsync(HostsCall call, CancellationToken cancellationToken)
        {
            string wanted = call.Parsed.GetValue(version) ?? "";
            bool isPath = IsPath(call.Parsed, wanted);
            if (call.Parsed.GetValue(dryRun)) return await FanOut.EachAsync(call, OneAsync, cancellationToken);
            if (call.Parsed.GetValue(failOnWarning)) throw NoDryRun();
            if (wanted.Length == 0 || wanted.StartsWith(DigestPrefix, StringComparison.Ordinal))
                throw new OperatorException(ExitCode.Usage, "which version? Several hosts need not follow the same", "name it: agentctl deploy VERSION --host HOSTS");
            if (call.Parsed.GetValue(expect)!.Length > 0) throw new OperatorException(ExitCode.Usage, "--expect is for one host", "leave it out, or name one host with --host");
            bool again = call.Parsed.GetValue(force);
            var plan = new RolloutPlan { Version = wanted, Force = again };
            if (isPath)
            {
                using PushedBuild build = await PushedBuild.PrepareAsync(push, call.Parsed, wanted, call.App, call.Terminal, call.Time, cancellationToken);
                PushDone done = await build.SendToAllAsync(call, cancellationToken);
                (plan.Version, plan.Pushed) = (done.Version, done.Digest);
            }
            return await RolloutRun.BeginAsync(call, rollout, plan, again, cancellationToken);
        }

        async Task<int> OneAsync(AgentCall call, CancellationToken cancellationToken)
        {
            var request = new DeployRequest
            {
                App = call.App,
                Version = call.Parsed.GetValue(version) ?? "",
                Force = call.Parsed.GetValue(force),
                Expect = call.Parsed.GetValue(expect)!,
                Wait = call.Parsed.GetValue(wait),
            };
            bool isPath = IsPath(call.Parsed, request.Version);
            if (request.Version.StartsWith(DigestPrefix, StringComparison.Ordinal)) (request.Version, request.Pushed) = ("", request.Version);
            if (call.Parsed.GetValue(dryRun))
            {
                var plan = new PlanMigrationsRequest { App = request.App, Version = request.Version, Deployment = true, Expect = request.Expect, Force = request.Force };
                return await MigrationText.PlanAsync(call, plan, call.Parsed.GetValue(failOnWarning), cancellationToken);
            }
            if (call.Parsed.GetValue(failOnWarning)) throw NoDryRun();
            rollout.RefuseForOne(call.Parsed);
            if (isPath)
            {
                using PushedBuild build = await PushedBuild.PrepareAsync(push, call.Parsed, request.Version, request.App, call.Terminal, call.Time, cancellationToken);
                PushDone done = await build.SendAsync(call.Agent, call.Terminal, cancellationToken);
                if (call.Json) call.Terminal.JsonLine(writer => writer.Object(done, (w, one) => build.WriteEvent(w, one, host: null)));
                else build.Tell(call.Terminal, done);
                (request.Version, request.Pushed) = (done.Version, done.Digest);
            }
            return await DeploymentStream.LastingAsync(
                call, id => request.Request = id, token => call.Agent.StreamAsync((client, options) => client.Deploy(request, options), token), cancellationToken);
        }

        bool IsPath(ParseResult parsed, string wanted)
        {
            bool isPath = PushOptions.IsPath(wanted);
            if (!isPath && push.AnyIn(parsed))
                throw new OperatorException(ExitCode.Usage, "--store, --key-file, --version and --unsigned are for a directory or an archive", "leave them out, or name a PATH: ./build");
            if (parsed.GetValue(dryRun) && (isPath || wanted.StartsWith(DigestPrefix, StringComparison.Ordinal))) throw new OperatorException(ExitCode.Usage, "--dry-run needs a version", "push it first, then name its version");
            return isPath;
        }
    }
}
