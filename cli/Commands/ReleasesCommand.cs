using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class ReleasesCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("releases", "Lists the releases that lie on the host, and why each stays or when it goes.", "agentctl releases", "agentctl releases --app shop"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new ListReleasesRequest { App = call.App };
        ListReleasesResponse installed = await call.Agent.AskAsync((client, options) => client.ListReleasesAsync(request, options), cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(installed, (w, all) => w.Array("releases", all.Releases, JsonMessages.Release)));
            return 0;
        }
        var table = new Table("VERSION", "STATE", "SIZE", "PROVED", "DIGEST", "KEPT");
        foreach (InstalledRelease release in installed.Releases)
        {
            table.Add(release.Version,
                release.Current ? new Piece("current", Tone.Good) : release.Quarantined ? new Piece("quarantined", Tone.Bad) : new Piece("-"),
                Human.Size(release.SizeBytes), Human.Time(release.Proved), release.Digest.Length > 12 ? release.Digest[..12] : release.Digest,
                release.KeptBecause.Length > 0 ? release.KeptBecause : release.GoesBecause.Length > 0 ? $"goes at the next sweep: {release.GoesBecause}" : "goes at the next sweep");
        }
        table.Write(call.Terminal);
        return 0;
    }
}
