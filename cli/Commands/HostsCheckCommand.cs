using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary><c>hosts check</c>: reaches each host, and tells what matters before it is relied on.</summary>
internal static class HostsCheckCommand
{
    /// <summary>Beyond this, what hosts say of times cannot be compared, and signed metadata may seem to have expired.</summary>
    private static readonly TimeSpan MostSkew = TimeSpan.FromSeconds(5);

    public static Verb Create(Verbs verbs) => verbs.AskingAll(
        new Verb("check", "Reaches each host and tells the agent's version, your role there, how far its clock is off, and how long an answer takes. Exits with 4 where one cannot be reached.",
            "agentctl hosts check", "agentctl hosts check --host prod,-web3"),
        [],
        RunAsync);

    private static async Task<int> RunAsync(HostsCall call, CancellationToken cancellationToken)
    {
        IAsyncEnumerable<HostAnswer<HostCheck>> asked = FanOut.AskAsync(call, AskAsync, _ => (int)ExitCode.Live, cancellationToken);
        if (call.Json) return await FanOut.DocumentAsync(call, asked, static (writer, check) => writer.Object(check, JsonMessages.HostCheck));
        List<HostAnswer<HostCheck>> answers = await asked.ToListAsync(cancellationToken);
        var table = new Table("HOST", "ADDRESS", "AGENT", "ROLE", "CLOCK", "ANSWERS IN");
        foreach ((HostEntry host, _, HostCheck? check, OperatorException? error) in answers)
        {
            if (check is null) table.Add(host.Name, $"{host.Address}", new Piece(error!.Code == ExitCode.Unreachable ? "unreachable" : "no answer", Tone.Bad), "-", "-", "-");
            else
            {
                table.Add(host.Name, $"{host.Address}", check.Version, Human.OrDash(check.Role), Clock(check.Skew), $"{check.RoundTrip.TotalMilliseconds:0} ms");
            }
        }
        table.Write(call.Terminal);
        FanOut.TellErrors(call, answers);
        return FanOut.Worst(answers.Select(answer => answer.Exit));
    }

    private static async Task<HostCheck> AskAsync(AgentCall call, CancellationToken cancellationToken)
    {
        // The first answer takes the connecting too.
        await VersionAsync(call, cancellationToken);
        long begun = call.Time.GetTimestamp();
        GetVersionResponse answer = await VersionAsync(call, cancellationToken);
        TimeSpan took = call.Time.GetElapsedTime(begun);
        TimeSpan? skew = answer.Now is { } now ? now.ToDateTimeOffset() - (call.Time.GetUtcNow() - took / 2) : null;
        return new HostCheck(answer.Version, answer.By, answer.Role, skew, took);
    }

    private static Task<GetVersionResponse> VersionAsync(AgentCall call, CancellationToken cancellationToken) =>
        call.Agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), cancellationToken);

    private static Piece Clock(TimeSpan? skew) => skew switch
    {
        null => "-",
        { } off when off.Duration() > MostSkew => new Piece($"{Human.Span(off.Duration())} {(off > TimeSpan.Zero ? "ahead" : "behind")}", Tone.Bad),
        _ => new Piece("right", Tone.Good),
    };
}

/// <summary>What a host said when it was checked.</summary>
/// <param name="By">Who we are there; empty: an agent that does not tell.</param>
/// <param name="Skew">Its clock before ours; null: an agent that does not tell.</param>
internal sealed record HostCheck(string Version, string By, string Role, TimeSpan? Skew, TimeSpan RoundTrip);
