using System.Xml.Linq;

namespace Agent.Tests.Hosting;

/// <summary>How the two programs are published, which these tests do not run.</summary>
public sealed class PublishedProgramTests
{
    /// <summary>The trimmer of SDK 10.0 then drops Monitor.Exit from asynchronous methods of System.Net.Http: a call whose request and response both stream hangs, most times.</summary>
    [Theory]
    [InlineData("cli/Agent.Cli.csproj")]
    [InlineData("agent/Daemon/Agent.Daemon.csproj")]
    public void The_trimmer_is_not_told_that_there_are_no_event_sources(string project)
    {
        string repository = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(repository, "Agent.sln"))) repository = Path.GetDirectoryName(repository)!;
        XElement[] all = [.. XDocument.Load(Path.Combine(repository, project)).Descendants()];
        Assert.DoesNotContain(all, element => element.Name.LocalName == "EventSourceSupport");
        XElement option = Assert.Single(all, element => element.Name.LocalName == "RuntimeHostConfigurationOption" && (string?)element.Attribute("Include") == "System.Diagnostics.Tracing.EventSource.IsSupported");
        Assert.Equal("false", (string?)option.Attribute("Trim"));
    }
}
