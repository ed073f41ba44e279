using Agent.Daemon.Deployments;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Api;

/// <summary>agent.v1.DatabaseService: what people and programs ask of an app's database. A part for each matter.</summary>
#pragma warning disable CS9113   // until the parts are there
internal sealed partial class DatabaseService(ApiCalls calls, DeploymentEngine engine, IConfiguration configuration) : V1.DatabaseService.DatabaseServiceBase
{
}
