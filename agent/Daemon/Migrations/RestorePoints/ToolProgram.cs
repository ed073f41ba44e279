using System.ComponentModel;
using System.Diagnostics;
using Agent.Artifacts;
using Agent.Daemon.Api;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>One of PostgreSQL's programs, run as a child of the agent with nothing of the agent's environment.</summary>
internal static class ToolProgram
{
    private const int ErrorLines = 5, LongestLine = 300;

    /// <summary>Runs a program to its end. Cancelling kills it.</summary>
    /// <param name="input">Fills its standard input, on a thread of its own; null: empty.</param>
    /// <param name="output">Reads its standard output to the end, on a thread of its own.</param>
    /// <exception cref="OperatorException">It failed: <see cref="ExitCode.Unreachable"/> where it lost or did not get the server, else <see cref="ExitCode.Refused"/>; the text has its last words.</exception>
    public static async Task RunAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, Action<Stream>? input, Action<Stream> output, CancellationToken cancellationToken)
    {
        using var process = new Process { StartInfo = StartInfo(program, arguments, environment) };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            throw new OperatorException(ExitCode.Refused, $"{program} cannot be run: {e.Message}", "look at it on the host", e);
        }
        Exception? failure = null;
        void End()
        {
            try
            {
                process.Kill(entireProcessTree: true);
            }
            catch (Exception e) when (e is InvalidOperationException or Win32Exception)
            {
                // It has ended.
            }
        }
        Task Side(Action work) => Task.Factory.StartNew(() =>
        {
            try
            {
                work();
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, e, null);
                End();
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        using CancellationTokenRegistration registration = cancellationToken.Register(End);
        Task<string> errors = LastLinesAsync(process.StandardError);
        Task reading = Side(() => output(process.StandardOutput.BaseStream));
        Task writing = Side(() => Feed(process.StandardInput.BaseStream, input));
        await Task.WhenAll(reading, writing);
        await process.WaitForExitAsync(CancellationToken.None);
        string said = await errors;
        cancellationToken.ThrowIfCancellationRequested();
        if (failure is not null) throw failure;
        if (process.ExitCode != 0) throw Failed(Path.GetFileName(program), process.ExitCode, said);
    }

    /// <summary>Reads a pipe until its end, and forgets it.</summary>
    public static void Ignore(Stream output) => output.CopyTo(Stream.Null);

    private static ProcessStartInfo StartInfo(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment.Clear();
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        start.Environment["LC_ALL"] = "C";
        start.Environment["PATH"] = "/usr/bin:/bin";
        return start;
    }

    private static void Feed(Stream pipe, Action<Stream>? input)
    {
        try
        {
            input?.Invoke(pipe);
            pipe.Dispose();
        }
        catch (IOException)
        {
            // It ended before it had read all: its exit status says why.
        }
    }

    private static async Task<string> LastLinesAsync(StreamReader errors)
    {
        var last = new Queue<string>();
        char[] buffer = new char[4096];
        var line = new System.Text.StringBuilder();
        void Keep()
        {
            if (line.Length == 0) return;
            last.Enqueue(PlainText.Of(line.ToString(), LongestLine));
            if (last.Count > ErrorLines) last.Dequeue();
            line.Clear();
        }
        for (int read; (read = await errors.ReadAsync(buffer)) > 0;)
        {
            foreach (char c in buffer.AsSpan(0, read))
            {
                if (c == '\n') Keep();
                else if (line.Length <= LongestLine) line.Append(c);
            }
        }
        Keep();
        return string.Join("; ", last);
    }

    private static OperatorException Failed(string program, int exit, string said)
    {
        bool unreachable = said.Contains("connection to server", StringComparison.Ordinal) || said.Contains("server closed the connection", StringComparison.Ordinal)
            || said.Contains("terminating connection", StringComparison.Ordinal) || said.Contains("no connection to the server", StringComparison.Ordinal);
        string what = $"{program} failed: {(said.Length > 0 ? said : $"exit status {exit}")}";
        return unreachable
            ? new OperatorException(ExitCode.Unreachable, what, "look at the database server, and try again")
            : new OperatorException(ExitCode.Refused, what, "mend what it names, and try again");
    }
}
