using System.Diagnostics;
using Agent.Artifacts;
using Agent.Artifacts.Publishing;

namespace Agent.Tests.Artifacts.Publishing;

public sealed class GitVersionTests : IDisposable
{
    private readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    private void Git(params string[] arguments)
    {
        using Process git = Process.Start(new ProcessStartInfo("git", ["-C", scratch.Root, "-c", "user.name=t", "-c", "user.email=t@example.org", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string output = git.StandardOutput.ReadToEnd() + git.StandardError.ReadToEnd();
        git.WaitForExit();
        Assert.True(git.ExitCode == 0, output);
    }

    private void Commit(string content)
    {
        scratch.Write("file", content);
        Git("add", ".");
        Git("commit", "-q", "-m", "x");
    }

    private Task<ReleaseVersion> DescribeAsync() => GitVersion.DescribeAsync(scratch.Root, CancellationToken.None);

    private async Task<OperatorException> RefusalAsync(ExitCode code)
    {
        var refusal = await Assert.ThrowsAsync<OperatorException>(DescribeAsync);
        Assert.Equal(code, refusal.Code);
        return refusal;
    }

    [Fact]
    public async Task A_tagged_commit_is_its_tag()
    {
        Git("init", "-q");
        Commit("1");
        Git("tag", "v1.2.0");
        Assert.Equal("v1.2.0", (await DescribeAsync()).Text);
    }

    [Fact]
    public async Task A_later_commit_says_how_many_came_since()
    {
        Git("init", "-q");
        Commit("1");
        Git("tag", "v1.2.0");
        Commit("2");
        Commit("3");
        Assert.Matches(@"\Av1\.2\.0-2-g[0-9a-f]{7,}\z", (await DescribeAsync()).Text);
    }

    [Fact]
    public async Task What_is_not_committed_is_refused()
    {
        Git("init", "-q");
        Commit("1");
        Git("tag", "v1.2.0");
        scratch.Write("file", "2");
        Assert.Contains("M file", (await RefusalAsync(ExitCode.Refused)).Message);
        Git("checkout", "-q", "file");
        scratch.Write("other", "2");
        Assert.Contains("other", (await RefusalAsync(ExitCode.Refused)).Message);
    }

    [Fact]
    public async Task A_commit_without_a_tag_that_is_a_version_has_none()
    {
        Git("init", "-q");
        Commit("1");
        Assert.Contains("tag it", (await RefusalAsync(ExitCode.Usage)).Remedy);
        Git("tag", "friday");
        Assert.Contains("'friday' is not a version", (await RefusalAsync(ExitCode.Usage)).Message);
    }

    [Fact]
    public async Task No_repository_has_no_version() => Assert.Contains("no git repository", (await RefusalAsync(ExitCode.Usage)).Message);
}
