using System.ComponentModel;
using System.Diagnostics;

namespace Agent.Artifacts.Publishing;

/// <summary>The version that git knows a source tree by.</summary>
internal static class GitVersion
{
    /// <summary><c>git describe --tags</c> of a clean tree: the tag, or tag, commits since and commit, as in <c>v1.2.0-3-gabc1234</c>.</summary>
    /// <exception cref="OperatorException">
    /// <see cref="ExitCode.Refused"/>: something is not committed, so that nobody could say later what was published; <see cref="ExitCode.Usage"/>: no repository, no tag, no git, or the tag is no version.
    /// </exception>
    public static async Task<ReleaseVersion> DescribeAsync(string directory, CancellationToken cancellationToken)
    {
        (int exit, string changed, string error) = await GitAsync(directory, cancellationToken, "status", "--porcelain", "--untracked-files=normal");
        if (exit != 0) throw new OperatorException(ExitCode.Usage, $"{directory} is no git repository: {FirstLine(error)}", "run this inside of the repository, or name the version with --version");
        if (changed.Length > 0)
            throw new OperatorException(ExitCode.Refused, $"the git tree of {directory} is not clean: {FirstLine(changed).Trim()}", "commit or remove what has changed, or name the version with --version");
        (exit, string described, error) = await GitAsync(directory, cancellationToken, "describe", "--tags");
        return exit == 0
            ? new ReleaseVersion(described.Trim())
            : throw new OperatorException(ExitCode.Usage, $"git cannot name the commit: {FirstLine(error)}", "tag it: git tag v1.2.3");
    }

    private static string FirstLine(string text) => text.Split('\n', 2)[0];

    private static async Task<(int Exit, string Output, string Error)> GitAsync(string directory, CancellationToken cancellationToken, params string[] arguments)
    {
        var start = new ProcessStartInfo("git", ["-C", directory, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new OperatorException(ExitCode.Usage, "git is not installed", "install git, or name the version with --version", e);
        }
        using (process)
        {
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken), error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, await output, await error);
        }
    }
}
