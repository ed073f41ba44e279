using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Tests.Api;

/// <summary>Every unit is in one state; without one, systemd cannot be asked. Nothing else can be done with it.</summary>
internal sealed class OneStateSupervisor(UnitState? state) : ISupervisor
{
    public Task<UnitState> GetStateAsync(UnitName unit, CancellationToken cancellationToken) =>
        state is null ? throw new OperatorException(ExitCode.NeedsOperator, "the bus is gone", "systemctl status dbus") : Task.FromResult(state with { Unit = unit });

    public Task ReloadAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task StartAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task StopAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task RestartAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task EnableAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task DisableAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<CommandEnd> RunAsync(TransientCommand command, Action<string> output, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<UserIds> MakeUserAsync(string user, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(UnitName unit, int lines, CancellationToken cancellationToken) => throw new NotSupportedException();

    public IAsyncEnumerable<LogEntry> FollowLogAsync(IReadOnlyList<UnitName> units, int lines, CancellationToken cancellationToken) => throw new NotSupportedException();
}
