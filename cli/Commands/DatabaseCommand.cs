namespace Agent.Cli.Commands;

/// <summary><c>agentctl db</c>: a file Database...Command for each verb below it.</summary>
internal static class DatabaseCommand
{
    public static Verb Create(Verbs verbs) => new("db", "An app's database: migrations, restore points, access.", "agentctl db list", "agentctl db plan v1.2.0")
    {
        DatabasePlanCommand.Create(verbs),
        DatabaseMigrationsCommand.Create(verbs),
        DatabaseForgetCommand.Create(verbs),
        DatabaseBackupCommand.Create(verbs),
        DatabaseListCommand.Create(verbs),
        DatabaseVerifyCommand.Create(verbs),
        DatabaseRestoreCommand.Create(verbs),
        DatabaseDownloadCommand.Create(verbs),
        DatabaseCreateCommand.Create(verbs),
        DatabaseUrlCommand.Create(verbs),
        DatabaseShellCommand.Create(verbs),
        DatabaseStatsCommand.Create(verbs),
    };
}
