using System.Diagnostics;
using System.Text;

namespace Agent.TestHosts;

/// <summary>How a command ended.</summary>
/// <param name="Exit">Its status; 128 and the signal where a signal ended it.</param>
internal sealed record CommandResult(string Command, int Exit, string Output, string Errors)
{
    /// <summary>The standard output of a command that succeeded.</summary>
    /// <exception cref="TestHostException">It did not; the message holds all that it printed.</exception>
    public string Succeeded() => Exit == 0
        ? Output
        : throw new TestHostException(TestHostException.Failed, $"{Command}: exit {Exit}\n{Output}{Errors}".TrimEnd(), "see what it printed");
}

/// <summary>Programs of the machine.</summary>
internal static class Tool
{
    /// <summary>The scripts beside this assembly.</summary>
    public static string Script(string name) => Path.Combine(AppContext.BaseDirectory, "testhost-scripts", name);

    /// <summary>What to start, with an environment that holds only a PATH, a home and a locale, and <paramref name="environment"/>.</summary>
    public static ProcessStartInfo Command(IReadOnlyList<string> argv, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(argv[0]) { UseShellExecute = false, WorkingDirectory = "/" };
        foreach (string argument in argv.Skip(1)) start.ArgumentList.Add(argument);
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        start.Environment["HOME"] = "/root";
        start.Environment["LANG"] = "C.UTF-8";
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        return start;
    }

    /// <summary>Runs to the end, with both outputs collected.</summary>
    /// <param name="name">What to call it in messages.</param>
    /// <param name="input">Its standard input; null: empty.</param>
    /// <exception cref="TimeoutException">It ran longer than <paramref name="timeout"/>, and was ended.</exception>
    public static async Task<CommandResult> RunAsync(
        string name, ProcessStartInfo start, byte[]? input, TimeSpan timeout, CancellationToken cancellationToken)
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        using Process process = Process.Start(start)!;
        var output = new StringBuilder();
        var errors = new StringBuilder();
        Task pumps = Task.WhenAll(
            PumpAsync(process.StandardOutput, output), PumpAsync(process.StandardError, errors), FeedAsync(process, input));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        try
        {
            await process.WaitForExitAsync(limit.Token);
            // A child that it left behind may hold its output open: what came until now is what it said.
            await Task.WhenAny(pumps, Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None));
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            throw new TimeoutException($"{name} did not end within {timeout.TotalSeconds:0.#} s\n{Text(output)}{Text(errors)}".TrimEnd());
        }
        return new CommandResult(name, process.ExitCode, Text(output), Text(errors));
    }

    private static string Text(StringBuilder builder)
    {
        lock (builder) return builder.ToString();
    }

    private static async Task PumpAsync(StreamReader from, StringBuilder to)
    {
        try
        {
            var buffer = new char[4096];
            for (int read; (read = await from.ReadAsync(buffer)) > 0;)
            {
                lock (to) to.Append(buffer, 0, read);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The process was disposed of while a child of it held the pipe.
        }
    }

    private static async Task FeedAsync(Process process, byte[]? input)
    {
        try
        {
            if (input is not null) await process.StandardInput.BaseStream.WriteAsync(input);
            process.StandardInput.Close();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // It ended without reading all of it.
        }
    }
}
