using Agent.Cli;
using Agent.Cli.Rendering;

namespace Agent.Tests.Cli;

public sealed class WatchingTests(FakeHost host) : IClassFixture<FakeHost>
{
    [Fact]
    public async Task Ctrl_c_stops_the_watching_and_says_that_the_deployment_goes_on()
    {
        using var ctrlC = new CancellationTokenSource();
        var output = new SignallingWriter("fetched");
        using var error = new StringWriter { NewLine = "\n" };
        Task<int> run = AgentCtl.RunAsync(["deploy", "v2.6.0", "--socket", host.Socket], output, error, ctrlC.Token);
        await output.Seen.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await ctrlC.CancelAsync();
        Assert.Equal(AgentCtl.Interrupted, await run);
        Assert.Equal("error: stopped watching; deployment d9 goes on\nfix:   agentctl watch d9\n", error.ToString());
        await host.Agent.Left.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_connection_that_breaks_says_how_to_watch_on()
    {
        var output = new SignallingWriter("staged");
        using var error = new StringWriter { NewLine = "\n" };
        Task<int> run = AgentCtl.RunAsync(["deploy", "v2.7.0", "--socket", host.Socket], output, error, TestContext.Current.CancellationToken);
        await output.Seen.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        host.Agent.Cut.TrySetResult();
        Assert.Equal(4, await run);
        Assert.Equal("shop  v2.3.1 -> v2.7.0  fetched, staged\n", output.ToString());
        Assert.Equal("error: lost the connection to agentd; deployment d7 goes on, or is finished when agentd is back\nfix:   agentctl watch d7\n", error.ToString());
    }

    [Fact]
    public async Task Ctrl_c_ends_logs_well()
    {
        using var ctrlC = new CancellationTokenSource();
        var output = new SignallingWriter("alert");
        Task<int> run = AgentCtl.RunAsync(["logs", "-f", "--socket", host.Socket], output, TextWriter.Null, ctrlC.Token);
        await output.Seen.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await ctrlC.CancelAsync();
        Assert.Equal(0, await run);
    }

    [Fact]
    public async Task A_reader_that_has_seen_enough_ends_the_output_without_an_error()
    {
        using var error = new StringWriter();
        Assert.Equal(0, await AgentCtl.RunAsync(["logs", "--socket", host.Socket], new ClosedPipe(), error, TestContext.Current.CancellationToken));
        Assert.Equal("", error.ToString());
    }

    [Fact]
    public async Task On_a_terminal_there_is_colour_and_progress_on_stderr()
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(output, error, outputIsTerminal: true, errorIsTerminal: true, colour: true);
        Assert.Equal(0, await AgentCtl.RunAsync(["deploy", "v2.3.2", "--socket", host.Socket], terminal, TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.Contains("\e[32mlive\e[0m", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("1.2 MB of 4.0 MB", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task On_a_terminal_a_dump_tells_how_far_it_is()
    {
        using var error = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(TextWriter.Null, error, outputIsTerminal: true, errorIsTerminal: true, colour: true);
        Assert.Equal(0, await AgentCtl.RunAsync(["db", "backup", "--app", "shop", "--socket", host.Socket], terminal, TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.Contains("dumping shop  600.0 MB of 2.1 GB (28 %)", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task On_a_terminal_without_colour_a_table_has_none()
    {
        using var output = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(output, TextWriter.Null, outputIsTerminal: true, errorIsTerminal: true, colour: false) { Width = () => 100 };
        Assert.Equal(0, await AgentCtl.RunAsync(["history", "--socket", host.Socket], terminal, TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.DoesNotContain("\e[3", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("rolled-back", output.ToString(), StringComparison.Ordinal);
        Assert.All(output.ToString().Split('\n'), line => Assert.True(line.Length <= 100, line));
    }

    private sealed class SignallingWriter : StringWriter
    {
        private readonly string word;
        private readonly TaskCompletionSource seen = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public SignallingWriter(string word)
        {
            this.word = word;
            NewLine = "\n";
        }

        public Task Seen => seen.Task;

        public override void Write(string? value)
        {
            base.Write(value);
            if (ToString().Contains(word, StringComparison.Ordinal)) seen.TrySetResult();
        }
    }

    private sealed class ClosedPipe : StringWriter
    {
        public override void Write(string? value) => throw new IOException("Broken pipe", 32);
    }
}
