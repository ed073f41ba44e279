namespace Agent.Tests.Cli.Hosts;

/// <summary>A program in the place of ssh: a few lines of shell, in a directory of its own. What it was started with is in <see cref="Arguments"/>.</summary>
internal sealed class FakeSsh : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("fake-ssh-").FullName;

    public FakeSsh(string script)
    {
        File.WriteAllText(Program, $"#!/bin/sh\nprintf '%s\\n' \"$@\" >'{directory}/arguments'\necho $$ >>'{directory}/runs'\n{script.Replace("DIRECTORY", directory, StringComparison.Ordinal)}\n");
        File.SetUnixFileMode(Program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public string Program => Path.Combine(directory, "ssh");

    public string[] Arguments => File.ReadAllLines(Path.Combine(directory, "arguments"));

    /// <summary>The process ids of its runs.</summary>
    public int[] Runs => [.. File.ReadAllLines(Path.Combine(directory, "runs")).Select(int.Parse)];

    /// <summary>Runs agentctl's own other end, as this build has it.</summary>
    public static string DialStdio(string socket) =>
        $"export AGENTD_SOCKET='{socket}'; exec '{Environment.ProcessPath}' exec '{Path.Combine(AppContext.BaseDirectory, "agentctl.dll")}' dial-stdio";

    public void Dispose() => Directory.Delete(directory, recursive: true);
}
