using System.ComponentModel;
using System.Diagnostics;
using Agent.Artifacts;

namespace Agent.Cli.Commands;

/// <summary>
/// systemd's own programs, by absolute path and without a shell. The agent drives units over D-Bus; the drill must judge the agent from
/// outside, and a transient unit by hand is what systemd-run is for.
/// </summary>
internal static class DrillTool
{
    /// <summary>A property of a unit, as <c>systemctl show</c> prints it; empty where there is none.</summary>
    public static async Task<string> PropertyAsync(string unit, string property, CancellationToken cancellationToken) =>
        (await SystemctlAsync(cancellationToken, "show", "--value", "--property", property, unit)).Output.Trim();

    public static Task<(int Exit, string Output)> SystemctlAsync(CancellationToken cancellationToken, params string[] arguments) =>
        RunAsync("/usr/bin/systemctl", cancellationToken, arguments);

    /// <returns>The exit status; stdout, and where it failed stderr.</returns>
    /// <exception cref="OperatorException">There is no such program.</exception>
    public static async Task<(int Exit, string Output)> RunAsync(string program, CancellationToken cancellationToken, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new OperatorException(ExitCode.Refused, $"{program} cannot be started: {e.Message}", "install systemd's programs", e);
        }
        using (process)
        {
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken), error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, process.ExitCode == 0 ? await output : await output + await error);
        }
    }
}
