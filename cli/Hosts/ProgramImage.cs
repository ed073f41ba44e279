using System.ComponentModel;
using System.Runtime.InteropServices;
using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>Another program in this one's place: with its terminal, its signals and its exit status. Source: execve(2).</summary>
internal static partial class ProgramImage
{
    private const int Pipe = 13;   // SIGPIPE

    /// <param name="program">Absolute.</param>
    /// <param name="arguments">The program's name first.</param>
    /// <param name="environment">NAME=VALUE.</param>
    /// <returns>Why it could not be: it does not return otherwise.</returns>
    public static OperatorException Replace(string program, IEnumerable<string> arguments, IEnumerable<string> environment)
    {
        // The runtime ignores it, and what is ignored stays so behind execve.
        Signal(Pipe, 0);
        Execute(program, [.. arguments, null], [.. environment, null]);
        var why = new Win32Exception(Marshal.GetLastPInvokeError());
        return new OperatorException(ExitCode.Refused, $"{program} cannot be run: {why.Message}", "see that it is there and may be run", why);
    }

    [LibraryImport("libc", EntryPoint = "execve", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Execute(string path, string?[] arguments, string?[] environment);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int signal, nint handler);
}
