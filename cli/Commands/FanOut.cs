using System.CommandLine;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;

namespace Agent.Cli.Commands;

/// <summary>What a verb that asks agents is called with where <c>--host</c> may mean several.</summary>
/// <param name="App">Empty where it was left out.</param>
/// <param name="Parallel">So many hosts are asked at a time.</param>
internal sealed record HostsCall(ParseResult Parsed, Terminal Terminal, bool Json, string App, Selection Selection, int Parallel, Workplace Workplace, TimeProvider Time)
{
    public IReadOnlyList<HostEntry> Hosts => Selection.Hosts;

    public AgentConnection Connect(HostEntry host) => new(host, Workplace.Dial(host, Hosts.Count == 1), Time);

    /// <summary>Runs a verb on one of the hosts.</summary>
    /// <exception cref="OperatorException">It begins with the host's name, and what to do fits the host.</exception>
    public async Task<T> OnAsync<T>(HostEntry host, Terminal terminal, Func<AgentCall, CancellationToken, Task<T>> run, CancellationToken cancellationToken)
    {
        using AgentConnection agent = Connect(host);
        return await run(new AgentCall(Parsed, terminal, Json, App, agent, Time), cancellationToken);
    }
}

/// <summary>One host's part of an answer.</summary>
/// <param name="Result">Null where there is an error.</param>
/// <param name="Error">As its agent told it, or why it was not reached.</param>
internal sealed record HostAnswer<T>(HostEntry Host, int Exit, T? Result, OperatorException? Error)
    where T : class;

/// <summary>One question to many hosts: some at a time, told in the order of the hosts; one that fails does not stop the others.</summary>
internal static class FanOut
{
    /// <summary>Hosts that are asked at a time, unless <c>--parallel</c> says otherwise.</summary>
    public const int Parallel = 16;

    // From what is known for certain to what is not: done; done and bad; not done; not known.
    private static readonly int[] Severity =
        [(int)ExitCode.Live, (int)ExitCode.RolledBack, (int)ExitCode.NeedsOperator, (int)ExitCode.Refused, (int)ExitCode.Usage, (int)ExitCode.Unreachable, AgentCtl.Interrupted];

    /// <summary>The exit status of all: the worst of 0, 1, 3, 5, 2, 4, 130, in this order.</summary>
    public static int Worst(IEnumerable<int> exits) => exits.DefaultIfEmpty().MaxBy(exit => Array.IndexOf(Severity, exit) is >= 0 and var place ? place : Severity.Length);

    /// <summary>Runs a verb on every host, and shows what it says there below the host's name, or behind it where that is one line.</summary>
    public static async Task<int> EachAsync(HostsCall call, Func<AgentCall, CancellationToken, Task<int>> run, CancellationToken cancellationToken)
    {
        IAsyncEnumerable<HostAnswer<Recording>> answers = RecordAsync(call, run, cancellationToken);
        return await (call.Json ? DocumentAsync(call, answers, static (writer, recording) => recording.WriteTo(writer)) : TextAsync(call, answers));
    }

    /// <summary>Runs a verb that prints lines on every host; each line begins with the host's name, or holds it.</summary>
    /// <param name="asTheyCome">From all hosts at once: they may have no end. Else in the order of the hosts.</param>
    public static async Task<int> LinesAsync(HostsCall call, Func<AgentCall, CancellationToken, Task<int>> run, bool asTheyCome, CancellationToken cancellationToken)
    {
        if (!asTheyCome) return await LinesAsync(call, RecordAsync(call, run, cancellationToken));
        return Worst(await Task.WhenAll(call.Hosts.Select(async host =>
        {
            using var lines = new LineWriter(line => call.Terminal.Raw(Labelled(call, host, line)));
            using var errors = new LineWriter(line => call.Terminal.RawError(Labelled(call, host, line)));
            try
            {
                return await call.OnAsync(host, call.Terminal.With(lines, errors), run, cancellationToken);
            }
            catch (OperatorException e)
            {
                Tell(call, [host], e);
                return (int)e.Code;
            }
        })));
    }

    /// <summary>For a verb that has no meaning on several hosts.</summary>
    /// <param name="why">As in <c>psql talks to one host</c>.</param>
    public static Func<HostsCall, CancellationToken, Task<int>> OneOnly(Func<AgentCall, CancellationToken, Task<int>> run, string why) => (call, cancellationToken) =>
        call.Hosts is [var only] ? RunAloneAsync(call, only, run, cancellationToken)
            : throw new OperatorException(ExitCode.Usage, $"{why}, and --host means {call.Hosts.Count}: {Names(call.Hosts)}", $"name one: --host {call.Hosts[0].Name}");

    /// <summary>Runs a verb on one host as if there were no others. An error begins with the name of a host that is not this machine.</summary>
    public static async Task<int> RunAloneAsync(HostsCall call, HostEntry host, Func<AgentCall, CancellationToken, Task<int>> run, CancellationToken cancellationToken)
    {
        try
        {
            return await call.OnAsync(host, call.Terminal, run, cancellationToken);
        }
        catch (OperatorException e) when (host.Name != Targets.Local)
        {
            throw new OperatorException(e.Code, Named(host, HostHint.For(host, e.Message)), HostHint.For(host, e.Remedy), e);
        }
    }

    /// <summary>Asks every host the same; the answers come in the order of the hosts.</summary>
    public static IAsyncEnumerable<HostAnswer<T>> AskAsync<T>(HostsCall call, Func<AgentCall, CancellationToken, Task<T>> ask, Func<T, int> exit, CancellationToken cancellationToken)
        where T : class =>
        AskAsync(call, async (host, stop) =>
        {
            T answer = await call.OnAsync(host, call.Terminal, ask, stop);
            return (answer, exit(answer));
        }, cancellationToken);

    /// <summary>Tells errors, those of hosts that follow each other and have the same once.</summary>
    public static void TellErrors<T>(HostsCall call, IReadOnlyList<HostAnswer<T>> answers)
        where T : class
    {
        for (int i = 0; i < answers.Count; i++)
        {
            if (answers[i].Error is not { } error) continue;
            var same = new List<HostEntry> { answers[i].Host };
            while (i + 1 < answers.Count && answers[i + 1].Error is { } next && next.Message == error.Message && next.Remedy == error.Remedy) same.Add(answers[++i].Host);
            Tell(call, same, error);
        }
    }

    /// <summary><c>{"hosts": [{"host", "exit", "result", "error"}]}</c>.</summary>
    public static async Task<int> DocumentAsync<T>(HostsCall call, IAsyncEnumerable<HostAnswer<T>> answers, Action<Utf8JsonWriter, T> result)
        where T : class
    {
        var all = new List<HostAnswer<T>>();
        await foreach (HostAnswer<T> answer in answers) all.Add(answer);
        call.Terminal.Document(writer => writer.Object(all, (w, list) => w.Array("hosts", list, (one, answer) =>
        {
            one.WriteString("host", answer.Host.Name);
            one.WriteNumber("exit", answer.Exit);
            one.WritePropertyName("result");
            if (answer.Result is { } told) result(one, told);
            else one.WriteNullValue();
            one.Object("error", Adapted(answer), static (e, error) => ErrorText.WriteMembers(e, error.Message, error.Remedy, (int)error.Code));
        })));
        return Worst(all.Select(answer => answer.Exit));
    }

    private static IAsyncEnumerable<HostAnswer<Recording>> RecordAsync(HostsCall call, Func<AgentCall, CancellationToken, Task<int>> run, CancellationToken cancellationToken) =>
        AskAsync(call, async (host, stop) =>
        {
            var recording = new Recording();
            try
            {
                return (recording, await call.OnAsync(host, recording.Terminal(call.Terminal), run, stop));
            }
            catch (OperatorException e)
            {
                recording.Error = e;
                return (recording, (int)e.Code);
            }
        }, cancellationToken);

    private static async IAsyncEnumerable<HostAnswer<T>> AskAsync<T>(
        HostsCall call, Func<HostEntry, CancellationToken, Task<(T Answer, int Exit)>> ask, [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : class
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var turn = new SemaphoreSlim(call.Parallel);
        int answered = 0;
        Task<HostAnswer<T>>[] asked = [.. call.Hosts.Select(async host =>
        {
            await turn.WaitAsync(stop.Token);
            try
            {
                (T answer, int exit) = await ask(host, stop.Token);
                return new HostAnswer<T>(host, exit, answer, (answer as Recording)?.Error);
            }
            catch (OperatorException e)
            {
                return new HostAnswer<T>(host, (int)e.Code, null, e);
            }
            finally
            {
                turn.Release();
                call.Terminal.Progress($"{Interlocked.Increment(ref answered)} of {call.Hosts.Count} hosts have answered");
            }
        })];
        try
        {
            foreach (Task<HostAnswer<T>> one in asked) yield return await one;
        }
        finally
        {
            await stop.CancelAsync();
            await ((Task)Task.WhenAll(asked)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task<int> LinesAsync(HostsCall call, IAsyncEnumerable<HostAnswer<Recording>> answers)
    {
        var exits = new List<int>();
        await foreach (HostAnswer<Recording> answer in answers)
        {
            exits.Add(answer.Exit);
            foreach (string line in answer.Result!.Output) call.Terminal.Raw(Labelled(call, answer.Host, line));
            if (answer.Error is not null) TellErrors(call, [answer]);
        }
        return Worst(exits);
    }

    // What is written for programs is an object in each line.
    private static string Labelled(HostsCall call, HostEntry host, string line) =>
        call.Json ? $"{{\"host\":\"{JsonEncodedText.Encode(host.Name)}\",{line[1..]}" : $"{host.Name.PadRight(Width(call))}  {line}";

    private static async Task<int> TextAsync(HostsCall call, IAsyncEnumerable<HostAnswer<Recording>> answers)
    {
        var exits = new List<int>();
        var failed = new List<HostAnswer<Recording>>();
        int width = Width(call);
        await foreach (HostAnswer<Recording> answer in answers)
        {
            exits.Add(answer.Exit);
            // Kept back while the next host may have failed in the same way.
            if (failed.Count > 0 && !(answer is { Error: { } error, Result.IsEmpty: true } && error.Message == failed[0].Error!.Message && error.Remedy == failed[0].Error!.Remedy))
            {
                TellErrors(call, failed);
                failed.Clear();
            }
            answer.Result!.Show(call.Terminal, answer.Host.Name, width);
            if (answer.Error is not null) failed.Add(answer);
        }
        TellErrors(call, failed);
        return Worst(exits);
    }

    private static void Tell(HostsCall call, IReadOnlyList<HostEntry> hosts, OperatorException e)
    {
        HostEntry all = hosts is [var one] ? one : hosts[0] with { Name = string.Join(',', hosts.Select(host => host.Name)) };
        string what = HostHint.For(all, e.Message);
        ErrorText.Write(call.Terminal, hosts.Count == 1 ? Named(all, what) : $"{Names(hosts)}: {what}", HostHint.For(all, e.Remedy), (int)e.Code, call.Json);
    }

    /// <summary>With the host's name in front, once.</summary>
    private static string Named(HostEntry host, string what) =>
        what.StartsWith($"{host.Name}:", StringComparison.Ordinal) || what.StartsWith($"{host.Name} ", StringComparison.Ordinal) ? what : $"{host.Name}: {what}";

    private static OperatorException? Adapted<T>(HostAnswer<T> answer)
        where T : class =>
        answer.Error is { } e ? new OperatorException(e.Code, HostHint.For(answer.Host, e.Message), HostHint.For(answer.Host, e.Remedy), e) : null;

    private static string Names(IEnumerable<HostEntry> hosts) => string.Join(", ", hosts.Select(host => host.Name));

    private static int Width(HostsCall call) => call.Hosts.Max(host => host.Name.Length);
}
