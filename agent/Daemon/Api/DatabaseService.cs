using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Administration;
using Agent.Daemon.Migrations.Planning;
using Agent.Daemon.Migrations.RestorePoints;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Api;

/// <summary>agent.v1.DatabaseService: what people and programs ask of an app's database. A part for each matter.</summary>
internal sealed partial class DatabaseService(
    ApiCalls calls, DeploymentEngine engine, IConfiguration configuration, RestorePointService points, DatabaseCreation creation, ReleasePlans plans, Rehearsals rehearsals,
    MigrationList migrations)
    : V1.DatabaseService.DatabaseServiceBase
{
}
