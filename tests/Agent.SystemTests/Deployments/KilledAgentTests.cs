namespace Agent.SystemTests.Deployments;

/// <summary><c>kill -9</c> of agentd, after every other record.</summary>
public sealed class KilledAgentTests : InterruptedTest
{
    private protected override Func<AgentHost, Action> End => Interruption.Kill;

    private protected override int? ClientExit => 4;

    // systemd starts it again after a second; until then the unit is activating.
    private protected override Task ComeBackAsync(AgentHost host) => Task.CompletedTask;

    [Fact]
    public Task In_a_first_deploy() => FirstDeployAsync("kill-first", [1, 3, 5, 7, 9, 11, 13, 15]);

    [Fact]
    public Task In_an_upgrade() => UpgradeAsync("kill-upgrade", [2, 4, 6, 8, 10, 12, 14]);

    [Fact]
    public Task In_a_rollback() => RollbackAsync("kill-rollback", [1, 3, 5, 7, 9, 11, 13, 15]);

    [Fact]
    public Task While_it_goes_back_by_itself() => BadUpgradeAsync("kill-bad", [13, 15, 17, 19, 21]);

    [Fact]
    public Task In_an_upgrade_of_an_app_that_has_everything() => UpgradeAsync("kill-rich", [.. Enumerable.Range(1, 16)], rich: true);

    [Fact]
    public Task In_a_rollback_of_an_app_that_has_everything() => RollbackAsync("kill-rich-rollback", [8, 9, 10, 11, 12, 13, 14, 15], rich: true);

    [Fact]
    public Task While_an_app_that_has_everything_goes_back_by_itself() => BadUpgradeAsync("kill-rich-bad", [12, 14, 15, 16, 17, 18, 19, 20, 21, 22], rich: true);

    [Fact]
    public Task In_an_upgrade_and_again_in_the_recovery() => UpgradeAsync("kill-twice", [8, 9, 10, 11, 12], rich: true, again: [2, 7, 4, 1, 5]);
}
