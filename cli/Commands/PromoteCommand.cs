using System.CommandLine;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Trust;
using Agent.Cli.Rendering;

namespace Agent.Cli.Commands;

internal static class PromoteCommand
{
    public static Verb Create(Verbs verbs)
    {
        var store = new StoreOptions();
        var version = new Argument<string>("VERSION") { Description = "a published version" };
        var channel = new Option<string>("--channel") { Description = "the channel, as in apps.d of the hosts that follow it", HelpName = "NAME", Required = true };
        var least = new Option<string?>("--min-release") { Description = "hosts take no lower version from this channel from now on", HelpName = "VERSION" };
        return verbs.Working(
            new Verb("promote", "Points a channel at a release; hosts that follow the channel deploy it. A lower version than before is a signed way back.",
                "agentctl promote v1.2.0 --app shop --channel stable --store /srv/store --key-file keys.json"),
            [version, channel, least, store.App, store.Store, store.KeyFile],
            async (call, cancellationToken) =>
            {
                AppName app = store.AppOf(call);
                var to = new ReleaseVersion(call.Parsed.GetRequiredValue(version));
                string name = ChannelTarget.CheckedName(call.Parsed.GetRequiredValue(channel));
                ReleaseVersion? bound = call.Parsed.GetValue(least) is { } text ? new ReleaseVersion(text) : null;
                using TrustRepository repository = store.Open(call, KeyFile.Read(store.KeyFileOf(call.Parsed)));
                var publisher = new Publisher(store.OpenStore(call), repository, new Disk(), Path.GetTempPath(), call.Time);
                Tell(call, app, name, await publisher.PromoteAsync(app, to, name, bound, cancellationToken));
                return 0;
            });
    }

    private static void Tell(Call call, AppName app, string channel, PromoteResult result)
    {
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(result, (w, r) =>
            {
                w.WriteString("app", app.Value);
                w.WriteString("channel", channel);
                w.Text("from_version", r.From?.Text ?? "");
                w.WriteString("to_version", r.To.Text);
                w.WriteNumber("seq", r.Sequence);
                w.WriteBoolean("already_there", r.AlreadyThere);
            }));
            return;
        }
        call.Terminal.Line(result.AlreadyThere
            ? $"{app} {channel}  points at {result.To} already"
            : $"{app} {channel}  {result.From?.Text ?? "nothing"} -> {result.To}  (seq {result.Sequence})");
    }
}
