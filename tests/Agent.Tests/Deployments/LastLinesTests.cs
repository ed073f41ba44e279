using Agent.Daemon.Deployments;

namespace Agent.Tests.Deployments;

public class LastLinesTests : IProgress<string>
{
    private readonly List<string> handedOn = [];

    [Fact]
    public void Hands_every_line_on_and_keeps_the_last_hundred()
    {
        var lines = new LastLines(this);
        Assert.Empty(lines.Lines);
        string[] all = [.. Enumerable.Range(0, 102).Select(n => $"line {n}")];
        foreach (string line in all) lines.Report(line);
        Assert.Equal(all, handedOn);
        Assert.Equal(all[2..], lines.Lines);
    }

    void IProgress<string>.Report(string value) => handedOn.Add(value);
}
