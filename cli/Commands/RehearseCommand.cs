using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RehearseCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string>("VERSION") { Description = "the release whose migrations are tried" };
        var point = new Option<string>("--restore-point") { Description = "what to try them on; left out: the newest", HelpName = "ID", DefaultValueFactory = _ => "" };
        return verbs.AskingOne(
            new Verb("rehearse", "Runs a release's migrations in a scratch database that is made of a restore point, and reports time, locks, size and what changes. Touches nothing else. Exits with 1 where they fail.",
                "agentctl rehearse v1.2.0", "agentctl rehearse v1.2.0 --app shop --restore-point shop-12"),
            [version, verbs.App, point],
            async (call, cancellationToken) =>
            {
                var request = new RehearseMigrationsRequest { App = call.App, Version = call.Parsed.GetValue(version)!, RestorePoint = call.Parsed.GetValue(point)! };
                Rehearsal? rehearsal = null;
                await foreach (RehearseMigrationsEvent happened in call.Agent.StreamDatabaseAsync((client, options) => client.RehearseMigrations(request, options), cancellationToken))
                {
                    if (happened.KindCase == RehearseMigrationsEvent.KindOneofCase.Progress) RestorePointText.Progress(call.Terminal, happened.Progress);
                    else rehearsal = happened.Rehearsal;
                }
                if (rehearsal is null) throw new OperatorException(ExitCode.Unreachable, "agentd went away before it was done", "systemctl status agentd, then try again: the scratch database goes with the next one");
                if (call.Json) call.Terminal.Document(writer => writer.Object(rehearsal, JsonMessages.Rehearsal));
                else MigrationText.Show(call.Terminal, rehearsal);
                return (int)(rehearsal.Succeeded ? ExitCode.Live : ExitCode.RolledBack);
            },
            "a rehearsal needs one host and its restore points");
    }
}
