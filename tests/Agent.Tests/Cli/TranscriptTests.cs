using System.Runtime.CompilerServices;

namespace Agent.Tests.Cli;

/// <summary>What agentctl says, word for word. <c>UPDATE_GOLDEN=1</c> rewrites the files; then read the diff.</summary>
public sealed class TranscriptTests(FakeHost host) : IClassFixture<FakeHost>
{
    public static TheoryData<string> Names => [.. Directory.GetFiles(Folder(), "*.golden").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Says_what_the_transcript_says(string name)
    {
        string path = Path.Combine(Folder(), name);
        string expected = await File.ReadAllTextAsync(path);
        var places = new Dictionary<string, string> { [host.DeadSocket] = "/run/dead.sock" };
        string actual = await new Transcript(expected).ReplayAsync(
            words => words.Contains("--socket") || name == "usage.golden" ? words : [.. words, "--socket", host.Socket], places);
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1") await File.WriteAllTextAsync(path, actual);
        else Assert.Equal(expected, actual);
    }

    [Fact]
    public void There_are_transcripts() => Assert.NotEmpty(Names);

    private static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Transcripts");
}
