using System.Runtime.CompilerServices;

namespace Agent.Tests.Cli.Hosts;

/// <summary>What agentctl says of several hosts, word for word. <c>UPDATE_GOLDEN=1</c> rewrites the files; then read the diff.</summary>
public sealed class FleetTranscriptTests(FakeFleet fleet) : IClassFixture<FakeFleet>
{
    public static TheoryData<string> Names => [.. Directory.GetFiles(Folder(), "*.golden").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Says_what_the_transcript_says(string name)
    {
        string path = Path.Combine(Folder(), name);
        string expected = await File.ReadAllTextAsync(path);
        var places = new Dictionary<string, string> { [fleet.Home] = "/home/ann" };
        string actual = await new Transcript(expected, fleet.Workplace).ReplayAsync(words => words, places);
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1") await File.WriteAllTextAsync(path, actual);
        else Assert.Equal(expected, actual);
    }

    private static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Transcripts");
}
