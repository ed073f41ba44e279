using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DeployCommand
{
    private const string DigestPrefix = "sha256:";

    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION|PATH") { Description = "what to deploy: a version, the sha256:... of what was pushed, or a directory or .tar.gz, which is pushed first; left out: what the app follows", Arity = ArgumentArity.ZeroOrOne };
        var force = new Option<bool>("--force") { Description = "also a release that is quarantined here or above max_version; takes the role admin" };
        var expect = new Option<string>("--expect") { Description = "refuse unless this version runs; none: unless nothing does", HelpName = "VERSION", DefaultValueFactory = _ => "" };
        var wait = new Option<bool>("--wait") { Description = "wait for a deployment that is under way, instead of being refused" };
        var dryRun = new Option<bool>("--dry-run") { Description = "show what it would do, migrations and refusals; change nothing" };
        Option<bool> failOnWarning = DatabasePlanCommand.FailOnWarning();
        var push = new PushOptions();
        return verbs.AskingOne(
            new Verb("deploy", "Deploys a release, and shows each step until its outcome. Ctrl-C stops the showing, not the deployment.",
                "agentctl deploy v1.2.0", "agentctl deploy --app shop", "agentctl deploy v1.2.0 --force", "agentctl deploy v1.2.0 --expect v1.1.0 --wait", "agentctl deploy v1.2.0 --dry-run --fail-on-warning",
                "agentctl deploy ./build --app shop --unsigned"),
            [version, verbs.App, force, expect, wait, dryRun, failOnWarning, .. push.All],
            async (call, cancellationToken) =>
            {
                var request = new DeployRequest
                {
                    App = call.App,
                    Version = call.Parsed.GetValue(version) ?? "",
                    Force = call.Parsed.GetValue(force),
                    Expect = call.Parsed.GetValue(expect)!,
                    Wait = call.Parsed.GetValue(wait),
                };
                if (request.Version.StartsWith(DigestPrefix, StringComparison.Ordinal)) (request.Version, request.Pushed) = ("", request.Version);
                bool isPath = PushOptions.IsPath(request.Version);
                if (!isPath && push.AnyIn(call.Parsed)) throw new OperatorException(ExitCode.Usage, "--store, --key-file, --version and --unsigned are for a directory or an archive", "leave them out, or name a PATH: ./build");
                if (isPath && call.Parsed.GetValue(dryRun)) throw new OperatorException(ExitCode.Usage, "--dry-run needs a version", "push it first, then name its version");
                if (call.Parsed.GetValue(dryRun))
                {
                    var plan = new PlanMigrationsRequest { App = request.App, Version = request.Version, Deployment = true, Expect = request.Expect, Force = request.Force };
                    return await MigrationText.PlanAsync(call, plan, call.Parsed.GetValue(failOnWarning), cancellationToken);
                }
                if (call.Parsed.GetValue(failOnWarning)) throw new OperatorException(ExitCode.Usage, "--fail-on-warning is for --dry-run", "leave it out, or add --dry-run");
                if (isPath)
                {
                    using PushedBuild build = await PushedBuild.PrepareAsync(push, call.Parsed, request.Version, request.App, call.Terminal, call.Time, cancellationToken);
                    PushDone done = await build.SendAsync(call.Agent, call.Terminal, cancellationToken);
                    if (call.Json) call.Terminal.JsonLine(writer => writer.Object(done, build.WriteEvent));
                    else build.Tell(call.Terminal, done);
                    (request.Version, request.Pushed) = (done.Version, done.Digest);
                }
                return await DeploymentStream.FollowAsync(call, call.Agent.StreamAsync((client, options) => client.Deploy(request, options), cancellationToken), cancellationToken);
            },
            "a deployment is of one host");
    }
}
