using System.Diagnostics;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli;

/// <summary>agentctl as a process, which psql takes the place of.</summary>
public sealed class DatabaseShellTests(FakeHost host) : IClassFixture<FakeHost>, IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Psql_has_the_password_in_its_environment_alone_and_its_exit_status_is_agentctls()
    {
        File.SetUnixFileMode(directory.Write("psql", """
            #!/bin/sh
            echo "pid $$"
            for argument; do echo "argument $argument"; done
            env | grep ^PG | sort
            grep SigIgn /proc/$$/status
            exit 7
            """), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        (int exit, int pid, string output) = await RunAsync($"{directory.Path}:/usr/bin:/bin");
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(7, exit);
        Assert.Equal(
            [$"pid {pid}", "argument -c", "argument SELECT 'a b'", "PGDATABASE=shop", "PGHOST=db.example", "PGPASSWORD=sesame", "PGPORT=5432", "PGUSER=shop"], lines[..^1]);
        // SIGPIPE is 13: what reads psql's output may go away.
        Assert.Equal(0, Convert.ToInt64(lines[^1].Split('\t')[1], 16) & (1 << 12));
    }

    [Fact]
    public async Task A_host_without_psql_is_told()
    {
        (int exit, _, string output) = await RunAsync("/nonexistent");
        Assert.Equal((5, "error: psql is not on this host\nfix:   apt install postgresql-client (dnf install postgresql)\n"), (exit, output));
    }

    private async Task<(int Exit, int Pid, string Output)> RunAsync(string path)
    {
        string agentctl = typeof(Agent.Cli.AgentCtl).Assembly.Location;
        var start = new ProcessStartInfo(Environment.ProcessPath!, [agentctl, "db", "shell", "--socket", host.Socket, "--app", "shop", "--", "-c", "SELECT 'a b'"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        (start.Environment["PATH"], start.Environment["PGOPTIONS"]) = (path, "-c log_statement=all");
        using Process process = Process.Start(start)!;
        int pid = process.Id;
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, pid, await output + await errors);
    }
}
