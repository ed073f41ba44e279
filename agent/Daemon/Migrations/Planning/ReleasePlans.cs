using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.Releases;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>What deploying any release would do. Nothing is changed; a release that is not on this host goes among the downloads only.</summary>
internal sealed class ReleasePlans(DeploymentEngine engine, ReleaseOnHost releases, InstalledReleases installed, MigrationPlans plans, MigrationPlanner planner)
{
    /// <param name="deployment">Also what a deployment would be refused for, and for an app that has no database.</param>
    /// <param name="mayFetch">As of <see cref="ReleaseOnHost.OpenAsync"/>.</param>
    /// <exception cref="OperatorException">It cannot be told: no such version, the store or the database does not answer, files of the release are wrong.</exception>
    public async Task<ReleasePlan> PlanAsync(DeploymentRequest request, bool deployment, bool mayFetch, IWorkProgress messages, CancellationToken cancellationToken)
    {
        AppName app = request.App;
        DeploymentPreview preview = await engine.PreviewAsync(request, cancellationToken);
        using ReadableRelease to = await releases.OpenAsync(app, preview.To, request.By, mayFetch, messages, cancellationToken);
        OperatorException? refusal = deployment ? preview.Refusal : null;
        if (to.Release.Definition.Database is null)
        {
            return deployment ? new ReleasePlan(app, preview.From?.Version, preview.To.Version, "", [], [], null, refusal, planner.LooksInside, "") : throw new OperatorException(
                ExitCode.Refused, $"{app} has no database that agentd knows of", $"write 'database: DATABASE_URL' into apps.d/{app}.yaml, and the URL into its secrets");
        }
        DatabaseUser? from = preview is { From: { } runs, Runs: { } definition } ? new DatabaseUser(runs.Version, installed.ReleaseDirectory(app, runs.Version), definition) : null;
        ReleasePlan plan = await plans.OfAsync(from, to.Release, messages, cancellationToken);
        return plan with { Refusal = refusal ?? plan.Refusal };
    }
}
