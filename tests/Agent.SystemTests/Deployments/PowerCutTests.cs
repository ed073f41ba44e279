namespace Agent.SystemTests.Deployments;

/// <summary>The host loses its power, after every other record; those between are <see cref="KilledAgentTests"/>'s.</summary>
public sealed class PowerCutTests : InterruptedTest
{
    private protected override Func<AgentHost, Action> End => Interruption.PowerCut;

    private protected override int? ClientExit => null;

    private protected override async Task ComeBackAsync(AgentHost host)
    {
        // Power is cut from another thread at the exact moment; the last process may take a moment longer to be gone.
        await EventuallyAsync("the host is off", TimeSpan.FromSeconds(10), () => Task.FromResult(!host.Host.IsRunning));
        await host.Host.BootAsync(Cancel);
    }

    [Fact]
    public Task In_a_first_deploy() => FirstDeployAsync("cut-first", [4, 6, 8, 10, 12, 14]);

    [Fact]
    public Task In_an_upgrade() => UpgradeAsync("cut-upgrade", [1, 3, 5, 7, 9, 11, 13, 15]);

    [Fact]
    public Task In_a_rollback() => RollbackAsync("cut-rollback", [6, 8, 10, 12, 14, 16]);

    [Fact]
    public Task While_it_goes_back_by_itself() => BadUpgradeAsync("cut-bad", [14, 16, 18, 20]);

    [Fact]
    public Task In_an_upgrade_of_an_app_that_has_everything() => UpgradeAsync("cut-rich", [2, 4, 6, 8, 10, 12, 14, 16], rich: true);

    [Fact]
    public Task While_an_app_that_has_everything_goes_back_by_itself() => BadUpgradeAsync("cut-rich-bad", [13, 15, 17, 19, 21], rich: true);

    [Fact]
    public Task In_a_rollback_of_an_app_that_has_everything() => RollbackAsync("cut-rich-rollback", [5, 7, 9, 11, 13], rich: true);

    [Fact]
    public Task In_the_recovery_from_a_kill_in_an_upgrade() => UpgradeAsync("cut-twice", [9, 11, 12], rich: true, again: [5, 3, 8]);
}
