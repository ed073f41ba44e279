using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>A sentence on how a deployment ended: what failed first, and whose fault it looks like.</summary>
internal static class Verdict
{
    public static string Of(Deployment deployment, Evidence? evidence)
    {
        string release = $"{deployment.App} {deployment.To.Version}", old = deployment.From?.Version ?? "what ran before";
        string step = deployment.Step?.Word() ?? "start";
        string cause = First(deployment);
        string first = cause.StartsWith("cancelled ", StringComparison.Ordinal) ? $"{release} was {cause}, at {step}" : $"{release} failed at {step}: {cause}";
        bool quarantined = deployment.Records.Exists(record => record is JournalRecord.DeploymentFinished { Quarantine: true });
        return deployment.Outcome switch
        {
            null => $"{release} is under way, at {step}",
            Outcome.Live => $"{release} went live",
            Outcome.Refused => $"{first}. Nothing that runs was touched",
            Outcome.RolledBack when deployment.From is null => $"{first}. It was the first release here, and is gone again",
            Outcome.RolledBack when quarantined => $"{first}. {old} answers again on the same host, so it is the release, and it was quarantined here",
            Outcome.RolledBack => $"{first}. {old} answers again; the release was not to blame and may be tried again",
            _ when deployment.IsStuckAtSchema => $"{first}. {deployment.Records.OfType<JournalRecord.UndoFailed>().First().Cause}, so {deployment.To.Version} was left where it was",
            _ => $"{first}. {old} does not come back either{Whose(evidence, deployment)}",
        };
    }

    /// <summary>The first cause alone: what the way back added comes after it.</summary>
    private static string First(Deployment deployment) =>
        deployment.Records.OfType<JournalRecord.StepFailed>().FirstOrDefault(failed => failed.Step is not (Step.Contract or Step.Sweep))?.Cause ?? deployment.Cause ?? "";

    private static string Whose(Evidence? evidence, Deployment deployment)
    {
        if (deployment.Records.OfType<JournalRecord.UndoFailed>().FirstOrDefault() is { Step: Step.Flip } failed) return $": it could not be put back ({failed.Cause})";
        if (evidence is not { OldChecks: { } oldChecks, OldUnits: { } oldUnits }) return "";
        string[] both =
        [
            .. evidence.Checks.Where(check => !check.Passed).Select(check => check.Name).Intersect(oldChecks.Where(check => !check.Passed).Select(check => check.Name)),
            .. evidence.Units.Where(Ended).Select(unit => unit.Name).Intersect(oldUnits.Where(Ended).Select(unit => unit.Name)),
        ];
        return both.Length > 0
            ? $", and fails in the same place ({string.Join(", ", both)}): it looks like this host, or something that both need, and not like the release"
            : ", and fails in another place: it looks like the release left something behind that the old one cannot work with (data, schema, files)";
    }

    private static bool Ended(UnitEvidence unit) => unit.ActiveState is "failed" or "inactive" || unit.SubState.StartsWith("auto-restart", StringComparison.Ordinal);
}
