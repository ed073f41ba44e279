using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;

namespace Agent.Daemon.Api;

/// <summary>What an app's health is now, and since when as the watch between deployments saw it.</summary>
internal sealed class HealthRound(ISupervisor supervisor, IHealthProbe probe)
{
    private readonly Round round = new(supervisor, probe);

    /// <summary>Runs all checks once, now.</summary>
    /// <returns>Units first, then checks in the order of their definition.</returns>
    public async Task<IReadOnlyList<CheckAnswer>> RunAsync(AppDefinition definition, CancellationToken cancellationToken) =>
        [.. (await round.RunAsync(definition, cancellationToken)).Select(answer => answer.Answer)];

    /// <summary>Joins the answers of now with what was watched: since when a check fails that fails now, and how often in a row.</summary>
    /// <param name="watched">What <see cref="HealthWatch.Of"/> says; empty where nothing was watched yet.</param>
    /// <returns>In the order of the answers; no failures and no time for what passes now, or failed for the first time.</returns>
    public static IReadOnlyList<WatchedCheck> Join(IReadOnlyList<CheckAnswer> answers, WatchedHealth watched) =>
    [
        .. answers.Select(answer => !answer.Passed && watched.Checks.FirstOrDefault(check => check.Last.Check == answer.Check) is { } seen
            ? seen with { Last = answer }
            : new WatchedCheck(answer, 0, null)),
    ];
}
