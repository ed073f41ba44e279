using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Migrations;

/// <summary>PostgreSQL.</summary>
internal sealed class Migrator : IMigrator
{
    public Task<IMigration> BeginAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<string?> UndoAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<string> ContractAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task SweepAsync(AppDefinition definition, CancellationToken cancellationToken) => throw new NotImplementedException();
}
