using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Api;

/// <summary>All checks of what an app runs, once, now: its units' states and its own checks, side by side.</summary>
internal sealed class HealthRound(ISupervisor supervisor, IHealthProbe probe)
{
    private const int AtOnce = 16;

    /// <returns>Units first, then checks in the order of their definition.</returns>
    public async Task<IReadOnlyList<CheckAnswer>> RunAsync(AppDefinition definition, CancellationToken cancellationToken)
    {
        List<Func<CancellationToken, Task<CheckAnswer>>> checks =
        [
            .. definition.Units.Select<UnitSource, Func<CancellationToken, Task<CheckAnswer>>>(unit => token => UnitAsync(unit.Name, token)),
            .. definition.Checks.Select<CheckOptions, Func<CancellationToken, Task<CheckAnswer>>>(check => token => probe.ProbeAsync(definition, check, token)),
        ];
        var answers = new CheckAnswer[checks.Count];
        await Parallel.ForAsync(0, checks.Count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken },
            async (i, token) => answers[i] = await checks[i](token));
        return answers;
    }

    private async Task<CheckAnswer> UnitAsync(UnitName unit, CancellationToken cancellationToken)
    {
        string name = $"unit {unit}";
        try
        {
            UnitState state = await supervisor.GetStateAsync(unit, cancellationToken);
            if (state.LoadState != "loaded") return new CheckAnswer(name, false, state.LoadState);
            bool active = state.ActiveState is "active" or "reloading";
            string detail = $"{state.ActiveState} ({state.SubState})";
            return new CheckAnswer(name, active, active || state.Result is "" or "success" ? detail : $"{detail}, result {state.Result}");
        }
        catch (OperatorException e)
        {
            return new CheckAnswer(name, false, e.Message);
        }
    }
}
