using Agent.V1;
using Grpc.Core;

namespace Agent.Tests.Cli;

/// <summary>What people tell the agent, and what they ask of its configuration and records.</summary>
internal sealed partial class FakeAgent
{
    public override Task<CancelDeploymentResponse> CancelDeployment(CancelDeploymentRequest request, ServerCallContext context) => request.Deployment switch
    {
        "" or "d4" => Task.FromResult(new CancelDeploymentResponse { Deployment = Begun("d4", "v2.5.1") }),
        _ => throw Error(StatusCode.FailedPrecondition, $"{request.Deployment} has ended already: live", "agentctl rollback --app shop", 5),
    };

    public override Task<ChangeResponse> Hold(HoldRequest request, ServerCallContext context) => Changed($"{Known(request.App)} is held: {request.Reason}");

    public override Task<ChangeResponse> Resume(ResumeRequest request, ServerCallContext context) => Changed($"{Known(request.App)} follows channel stable again");

    public override Task<ChangeResponse> Pin(PinRequest request, ServerCallContext context) => Changed($"{Known(request.App)} is pinned to {(request.Version.Length > 0 ? request.Version : "v2.3.1")}");

    public override Task<ChangeResponse> Unpin(UnpinRequest request, ServerCallContext context) => Changed($"{Known(request.App)} is not pinned");

    public override Task<ChangeResponse> Unquarantine(UnquarantineRequest request, ServerCallContext context) => request.Version == "v2.4.0"
        ? Changed($"{Known(request.App)} v2.4.0 is not quarantined: it may be deployed by itself again")
        : throw Error(StatusCode.FailedPrecondition, $"shop {request.Version} is not quarantined on this host", "see what is: agentctl status --app shop", 5);

    public override Task<DiffGenerationsResponse> DiffGenerations(DiffGenerationsRequest request, ServerCallContext context)
    {
        if (request.App == "blog") throw Error(StatusCode.FailedPrecondition, "nothing ran on this host before v0.1.0", "agentctl releases --app blog", 5);
        Known(request.App);
        if (request.A.Length > 0 && request.A == request.B) return Task.FromResult(new DiffGenerationsResponse { A = $"{request.A} (d1)", B = $"{request.B} (d1)" });
        return Task.FromResult(new DiffGenerationsResponse
        {
            A = "v2.3.0 (d0)",
            B = "v2.3.1 (d1)",
            Files =
            {
                new Difference { Kind = Difference.Types.Kind.Added, Name = "bin/worker" },
                new Difference { Kind = Difference.Types.Kind.Changed, Name = "bin/shop" },
                new Difference { Kind = Difference.Types.Kind.Removed, Name = "lib/old.so" },
            },
            Units = { new Difference { Kind = Difference.Types.Kind.Changed, Name = "shop.service", Before = "[Service]\nRestart=no\n", After = "[Service]\nRestart=always\n" } },
            Environment =
            {
                new Difference { Kind = Difference.Types.Kind.Changed, Name = "PORT", Before = "8080", After = "8081" },
                new Difference { Kind = Difference.Types.Kind.Added, Name = "DATABASE_PASSWORD" },
            },
        });
    }

    /// <summary>Nothing is wrong, unless a test says so.</summary>
    public override Task<CheckConfigurationResponse> CheckConfiguration(CheckConfigurationRequest request, ServerCallContext context) =>
        Task.FromResult(new CheckConfigurationResponse { Problems = { Problems } });

    public IReadOnlyList<string> Problems { get; set; } = [];

    public override Task<ShowConfigurationResponse> ShowConfiguration(ShowConfigurationRequest request, ServerCallContext context) => Task.FromResult(new ShowConfigurationResponse
    {
        Yaml = Known(request.App).Length > 0 ? $"keep: 3   # default\nenvironment:\n  PORT: \"8080\"   # apps.d/{request.App}.yaml\n" : "poll: 60s   # default\n",
    });

    public override Task<ListAuditResponse> ListAudit(ListAuditRequest request, ServerCallContext context)
    {
        AuditRecord[] all =
        [
            new AuditRecord { At = At(60), By = "uid 1001 (bob)", From = "pid 4712 on the agent's socket", Wish = "see the status", Refused = true, Outcome = "uid 1001 (bob) may not see the status: it has no role here, and that takes viewer" },
            new AuditRecord { At = At(0), By = "uid 1000 (ann)", From = "pid 4711 on the agent's socket", Role = "deployer", Wish = "deploy v2.4.0", App = "shop", Outcome = "d2" },
        ];
        return Task.FromResult(new ListAuditResponse { Records = { all.Take(request.Limit) } });
    }

    private static Task<ChangeResponse> Changed(string message) => Task.FromResult(new ChangeResponse { Message = message.StartsWith(' ') ? "shop" + message : message });
}
