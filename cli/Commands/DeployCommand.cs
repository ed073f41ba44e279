using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DeployCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION") { Description = "what to deploy; left out: what the app follows", Arity = ArgumentArity.ZeroOrOne };
        var force = new Option<bool>("--force") { Description = "also a release that is quarantined here or above max_version; takes the role admin" };
        var expect = new Option<string>("--expect") { Description = "refuse unless this version runs; none: unless nothing does", HelpName = "VERSION", DefaultValueFactory = _ => "" };
        var wait = new Option<bool>("--wait") { Description = "wait for a deployment that is under way, instead of being refused" };
        var dryRun = new Option<bool>("--dry-run") { Description = "show what it would do, migrations and refusals; change nothing" };
        Option<bool> failOnWarning = DatabasePlanCommand.FailOnWarning();
        return verbs.AskingOne(
            new Verb("deploy", "Deploys a release, and shows each step until its outcome. Ctrl-C stops the showing, not the deployment.",
                "agentctl deploy v1.2.0", "agentctl deploy --app shop", "agentctl deploy v1.2.0 --force", "agentctl deploy v1.2.0 --expect v1.1.0 --wait", "agentctl deploy v1.2.0 --dry-run --fail-on-warning"),
            [version, verbs.App, force, expect, wait, dryRun, failOnWarning],
            (call, cancellationToken) =>
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
                if (call.Parsed.GetValue(failOnWarning)) throw new OperatorException(ExitCode.Usage, "--fail-on-warning is for --dry-run", "leave it out, or add --dry-run");
                return DeploymentStream.FollowAsync(call, call.Agent.StreamAsync((client, options) => client.Deploy(request, options), cancellationToken), cancellationToken);
            },
            "a deployment is of one host");
    }
}
