using System.Text.Json;
using Agent.Artifacts.Publishing;
using Agent.Cli.Commands;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Cli.Rendering;

/// <summary>What a store holds, for people and programs.</summary>
internal static class StoreText
{
    public static void Write(Call call, IReadOnlyList<ListedApp> apps)
    {
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(apps, (w, all) => w.Array("apps", all, WriteApp)));
            return;
        }
        if (apps.Count == 0) call.Terminal.Line("the store holds no app yet");
        var table = new Table("APP", "VERSION", "CHANNELS", "FILES", "SIZE", "PUBLISHED", "DIGEST");
        foreach (ListedApp app in apps)
            foreach (ListedRelease release in app.Releases)
                table.Add(
                    app.App.Value, release.Version.Text, Human.OrDash(string.Join(", ", app.Channels.Where(c => c.Target.Release == release.Version).Select(c => c.Name))),
                    release.Files?.ToString() ?? "-", release.TotalSize is { } size ? Human.Size(size) : "-",
                    Human.Time(release.Published is { } at ? Timestamp.FromDateTimeOffset(at) : null), release.Digest.Short);
        if (apps.Count > 0) table.Write(call.Terminal);
    }

    private static void WriteApp(Utf8JsonWriter writer, ListedApp app)
    {
        writer.WriteString("app", app.App.Value);
        writer.Array("releases", app.Releases, static (w, release) =>
        {
            w.WriteString("version", release.Version.Text);
            w.WriteString("digest", release.Digest.Hex);
            w.Number("files", release.Files);
            w.Number("size_bytes", release.TotalSize);
            w.Time("published", release.Published is { } at ? Timestamp.FromDateTimeOffset(at) : null);
        });
        writer.Array("channels", app.Channels, static (w, channel) =>
        {
            w.WriteString("channel", channel.Name);
            w.WriteString("version", channel.Target.Release.Text);
            w.WriteNumber("seq", channel.Target.Sequence);
            w.Text("min_release", channel.Target.MinimumRelease?.Text ?? "");
        });
    }
}
