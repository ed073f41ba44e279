using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Daemon.Tracking;
using Grpc.Core;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Api;

/// <summary>
/// agent.v1.AgentService: asks the engine, the supervisor and tracking, and puts their answers into messages. Every call goes through
/// <see cref="ApiCalls"/>. What changes something is in the part Changes, what only asks in the part Questions.
/// </summary>
internal sealed partial class AgentService(
    DeploymentEngine engine, IConfiguration configuration, ISupervisor supervisor, IHealthProbe probe, HealthWatch watch, TrackingService tracking,
    ApiCalls calls, UnsignedPushes unsigned, AuditLog audit, TimeProvider time) : V1.AgentService.AgentServiceBase
{
    private const string Done = ApiCalls.Done;
}
