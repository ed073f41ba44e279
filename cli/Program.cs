using System.Runtime.InteropServices;
using Agent.Cli;
using Agent.Cli.Commands;
using Agent.Cli.Rendering;

// Each call over ssh starts this on its host, a call to many hosts many at once: without the other verbs it takes a third of the time.
if (args is [DialStdioCommand.Name]) return DialStdioCommand.Run(null, Console.Error.WriteLine);

// Ctrl-C and TERM stop the waiting, never a deployment: the agent carries it on.
using var stop = new CancellationTokenSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
return await AgentCtl.RunAsync(args, Terminal.OfProcess(), TimeProvider.System, stop.Token);

void Stop(PosixSignalContext signal)
{
    signal.Cancel = !stop.IsCancellationRequested;   // the second Ctrl-C ends the process at once
    stop.Cancel();
}
