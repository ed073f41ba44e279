using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabasePlanCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string>("VERSION") { Description = "the release; left out: what the app follows", Arity = ArgumentArity.ZeroOrOne, DefaultValueFactory = _ => "" };
        Option<bool> failOnWarning = FailOnWarning();
        return verbs.Asking(
            new Verb("plan", "Shows what a release's pending migrations would do: locks, sizes, and warnings with the safer way. Changes nothing.",
                "agentctl db plan v1.2.0", "agentctl db plan v1.2.0 --app shop --fail-on-warning"),
            [version, verbs.App, failOnWarning],
            (call, cancellationToken) => MigrationText.PlanAsync(
                call, new PlanMigrationsRequest { App = call.App, Version = call.Parsed.GetValue(version) ?? "" }, call.Parsed.GetValue(failOnWarning), cancellationToken));
    }

    public static Option<bool> FailOnWarning() => new("--fail-on-warning") { Description = "exit with 1 where a migration has a warning" };
}
