using System.Runtime.CompilerServices;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Tests.Fakes;

/// <summary>Remembers what it was asked to do, in order: <c>restart shop.service</c>. All of it succeeds.</summary>
internal sealed class RecordingSupervisor : ISupervisor
{
    public List<string> Calls { get; } = [];

    public List<TransientCommand> Commands { get; } = [];

    /// <summary>How commands end; null: well, without a word.</summary>
    public Func<TransientCommand, CommandEnd>? End { get; set; }

    /// <summary>What units are; null: active.</summary>
    public Func<UnitName, UnitState>? State { get; set; }

    public IReadOnlyList<LogEntry> Lines { get; set; } = [];

    public static UnitState Active(UnitName unit) => new(unit, "loaded", "active", "running", "success", 0, 7, "", 0, new string('1', 32), null);

    public Task ReloadAsync(CancellationToken cancellationToken) => Called("reload");

    public Task StartAsync(UnitName unit, CancellationToken cancellationToken) => Called($"start {unit}");

    public Task StopAsync(UnitName unit, CancellationToken cancellationToken) => Called($"stop {unit}");

    public Task RestartAsync(UnitName unit, CancellationToken cancellationToken) => Called($"restart {unit}");

    public Task EnableAsync(UnitName unit, CancellationToken cancellationToken) => Called($"enable {unit}");

    public Task DisableAsync(UnitName unit, CancellationToken cancellationToken) => Called($"disable {unit}");

    public Task<UnitState> GetStateAsync(UnitName unit, CancellationToken cancellationToken) => Task.FromResult((State ?? Active)(unit));

    public Task<CommandEnd> RunAsync(TransientCommand command, Action<string> output, CancellationToken cancellationToken)
    {
        Commands.Add(command);
        CommandEnd end = End?.Invoke(command) ?? new CommandEnd(true, "", []);
        foreach (string line in end.Output) output(line);
        return Task.FromResult(end);
    }

    public Task<UserIds> MakeUserAsync(string user, CancellationToken cancellationToken)
    {
        Calls.Add($"user {user}");
        return Task.FromResult(new UserIds(1000, 1000));
    }

    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(UnitName unit, int lines, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<LogEntry>>([.. Lines.Where(line => line.Unit == unit.Value).TakeLast(lines)]);

    public async IAsyncEnumerable<LogEntry> FollowLogAsync(IReadOnlyList<UnitName> units, int lines, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        yield break;
    }

    private Task Called(string what)
    {
        Calls.Add(what);
        return Task.CompletedTask;
    }
}
