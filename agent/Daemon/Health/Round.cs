using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>One answer of a round.</summary>
/// <param name="Known">False: systemd did not answer, which says nothing about the application.</param>
/// <param name="Unhealthy">Failures in a row until it counts as failing.</param>
internal sealed record RoundAnswer(CheckAnswer Answer, bool Known, int Unhealthy);

/// <summary>All checks of what an app runs, once, now: its units' states and its own checks, side by side.</summary>
internal sealed class Round(ISupervisor supervisor, IHealthProbe probe)
{
    private const int AtOnce = 16;

    /// <summary>Takes as long as the slowest check may, or systemd.</summary>
    /// <returns>Units first, then checks in the order of their definition.</returns>
    public async Task<IReadOnlyList<RoundAnswer>> RunAsync(AppDefinition definition, CancellationToken cancellationToken)
    {
        UnitName[] units = [.. definition.Started];
        var answers = new RoundAnswer[units.Length + definition.Checks.Count];
        await Parallel.ForAsync(0, answers.Length, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken }, async (i, token) =>
        {
            CheckOptions? check = i < units.Length ? null : definition.Checks[i - units.Length];
            string name = check?.Name ?? $"unit {units[i]}";
            int unhealthy = check?.Unhealthy ?? 1;   // systemd's word is a fact and no measurement
            try
            {
                CheckAnswer answer = check is null ? await UnitAsync(name, units[i], token).ConfigureAwait(false) : await probe.ProbeAsync(definition, check, token).ConfigureAwait(false);
                answers[i] = new RoundAnswer(answer, Known: true, unhealthy);
            }
            catch (OperatorException e)
            {
                answers[i] = new RoundAnswer(new CheckAnswer(name, Passed: false, e.Message), Known: false, unhealthy);
            }
        }).ConfigureAwait(false);
        return answers;
    }

    private async Task<CheckAnswer> UnitAsync(string name, UnitName unit, CancellationToken cancellationToken)
    {
        (bool passed, string detail) = UnitAnswer.Of(await supervisor.GetStateAsync(unit, cancellationToken).ConfigureAwait(false));
        return new CheckAnswer(name, passed, detail);
    }
}
