using System.Runtime.InteropServices;
using Agent.Cli;
using Agent.Cli.Rendering;

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
