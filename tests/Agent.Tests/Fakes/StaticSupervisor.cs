using System.Runtime.CompilerServices;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Tests.Fakes;

/// <summary>Tells what a test says a unit is, and runs commands as it says; drives nothing.</summary>
internal sealed class StaticSupervisor(Func<UnitName, UnitState> state, Func<TransientCommand, CancellationToken, Task<CommandEnd>>? run = null) : ISupervisor
{
    public Task<UnitState> GetStateAsync(UnitName unit, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(state(unit));
    }

    public Task ReloadAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task StartAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task StopAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task RestartAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task EnableAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task DisableAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<CommandEnd> RunAsync(TransientCommand command, Action<string> output, CancellationToken cancellationToken) =>
        run is null ? throw new NotSupportedException() : run(command, cancellationToken);

    public Task<UserIds> MakeUserAsync(string user, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(UnitName unit, int lines, CancellationToken cancellationToken) => throw new NotSupportedException();

    public async IAsyncEnumerable<LogEntry> FollowLogAsync(IReadOnlyList<UnitName> units, int lines, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        throw new NotSupportedException();
#pragma warning disable CS0162 // what makes this an iterator
        yield break;
#pragma warning restore CS0162
    }
}
