using System.Text.RegularExpressions;
using Agent.Cli.Rendering;
using Agent.Cli.Rollouts;
using Agent.Tests.Fakes;
using Agent.V1;

namespace Agent.Tests.Cli.Rollouts;

/// <summary>A rollout on a terminal.</summary>
public sealed class RolloutViewTests : IDisposable
{
    private readonly StringWriter output = new() { NewLine = "\n" };

    public void Dispose() => output.Dispose();

    [Fact]
    public void A_row_for_each_host_is_painted_over_as_it_goes_on()
    {
        Rollout rollout = FakeFleet.Rollout("r-1", FakeFleet.Plan("web1", "web2"));
        using (var view = new RolloutView(Terminal(width: 70, height: 24), new InstantTime(int.MaxValue)))
        {
            view.Show(new RolloutReport.Changed(rollout, RolloutProgress.Of(rollout.Plan)));
            Assert.Contains("web1    1  waiting ", Last(), StringComparison.Ordinal);
            view.Show(new RolloutReport.Began(1, ["web1"]));
            view.Show(new RolloutReport.Went("web1", new DeploymentEvent { Step = new StepEvent { Step = "flip", Phase = StepEvent.Types.Phase.Started } }));
            view.Show(new RolloutReport.Went("web1", new DeploymentEvent { Progress = new ProgressEvent { Step = "gate", Message = "http /up: \e[2Jno" } }));
            view.Note = "";
            Assert.Contains("web1    1  flip ", Last(), StringComparison.Ordinal);
            Assert.Contains("http /up: ?[2Jno", Last(), StringComparison.Ordinal);
            Assert.Contains("1 under way, 1 waiting", Last(), StringComparison.Ordinal);
            view.Show(new RolloutReport.Ended("web1", Stand.RolledBack, null, "http /up: 500, and a very long story of how that came about"));
            view.Note = "Ctrl-C: ?";
            Assert.Contains("web1    1  rolled back ", Last(), StringComparison.Ordinal);
        }
        Assert.All(output.ToString().Split('\n').Select(Plain), line => Assert.True(line.Length < 70, line));
        Assert.EndsWith("Ctrl-C: ?\e[K\n", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Whoever_takes_over_sees_where_hosts_stand()
    {
        Rollout rollout = FakeFleet.Rollout("r-1", FakeFleet.Plan("web1", "web2", "web3"));
        using var view = new RolloutView(Terminal(width: 70, height: 24), new InstantTime(int.MaxValue));
        view.Show(new RolloutReport.Changed(rollout, RolloutProgress.Of(rollout.Plan).With("web1", Stand.Live).With("web2", Stand.UnderWay)));
        Assert.Contains("1 live, 1 under way, 1 waiting", Last(), StringComparison.Ordinal);
        Assert.Contains("web1    1  live ", Last(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_has_no_room_becomes_a_count()
    {
        Rollout rollout = FakeFleet.Rollout("r-1", FakeFleet.Plan([.. Enumerable.Range(1, 40).Select(n => $"web{n}")]));
        RolloutProgress progress = RolloutProgress.Of(rollout.Plan).With(Enumerable.Range(1, 20).Select(n => $"web{n}"), Stand.Live).With("web7", Stand.Refused);
        using var view = new RolloutView(Terminal(width: 80, height: 12), new InstantTime(int.MaxValue));
        view.Show(new RolloutReport.Changed(rollout, progress));
        view.Show(new RolloutReport.Began(21, ["web21"]));
        string[] lines = Last().TrimEnd('\n').Split('\n');
        Assert.True(lines.Length < 12, $"{lines.Length} lines");
        Assert.Contains(lines, line => line.StartsWith("web7 ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("web21 ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("... and 19 live, 14 waiting", StringComparison.Ordinal));
    }

    /// <summary>What stands on the screen now.</summary>
    private string Last()
    {
        string all = output.ToString();
        return Plain(all[(all.LastIndexOf("\e[J", StringComparison.Ordinal) + 3)..]);
    }

    private static string Plain(string text) => Regex.Replace(text, "\e\\[[0-9]*[AJK]", "");

    private Terminal Terminal(int width, int height) =>
        new(output, output, outputIsTerminal: true, errorIsTerminal: true, colour: false) { Width = () => width, Height = () => height };
}
