using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations.RestorePoints;

/// <summary>Restore points that a command of the operator makes.</summary>
public sealed class OperatorsCommandTests(PostgresServer server)
{
    private readonly List<TransientCommand> ran = [];
    private CommandEnd end = new(true, "", ["starting", "20261121-081235F", ""]);

    [Fact]
    public async Task What_its_last_line_names_is_listed_and_handed_to_the_restore_command()
    {
        using RestorePointHost host = await NewAsync("/opt/restore --from");
        RestorePoint point = await host.TakeAsync("shop-9");
        Assert.Equal(("20261121-081235F", null, 0L, ""), (point.Name, point.Tool, point.Size, point.Sha256));
        Assert.Equal(point.Id, Assert.Single(await host.ListAsync()).Point.Id);
        Assert.Equal(["/opt/backup", "--type", "full one"], ran[0].Arguments);
        Assert.Equal("shop-9", ran[0].Environment["AGENTD_RESTORE_POINT"]);
        Assert.NotEqual("root", ran[0].User);

        Restored restored = await host.RestoreAsync(point.Id, "shop-10");
        Assert.Null(restored.Former);
        Assert.Equal(["/opt/restore", "--from", "20261121-081235F"], ran[^1].Arguments);
        // In place: nobody but a person can take that back.
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.SwapBackAsync("shop-10"));
        Assert.Equal(ExitCode.NeedsOperator, e.Code);
        Assert.Contains("agentctl db restore shop-10", e.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_restore_command_it_says_what_to_put_back_by_hand_and_touches_nothing()
    {
        using RestorePointHost host = await NewAsync(null);
        RestorePoint point = await host.TakeAsync();
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.RestoreAsync(point.Id));
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.Contains("put back '20261121-081235F' by hand", e.Remedy, StringComparison.Ordinal);
        Assert.Single(ran);
        Assert.Single(await host.ListAsync());
        await Assert.ThrowsAsync<OperatorException>(() => host.VerifyAsync(point));
    }

    [Theory]
    [InlineData(true, "", "", "printed nothing")]
    [InlineData(false, "exit status 3", "no stanza", "/opt/backup failed: exit status 3: no stanza")]
    public async Task One_that_fails_or_says_nothing_makes_no_restore_point(bool succeeded, string cause, string line, string told)
    {
        end = new CommandEnd(succeeded, cause, line.Length > 0 ? [line] : []);
        using RestorePointHost host = await NewAsync(null);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.TakeAsync());
        Assert.Contains(told, e.Message, StringComparison.Ordinal);
        Assert.Empty(await host.ListAsync());
    }

    private async Task<RestorePointHost> NewAsync(string? restore)
    {
        RestorePointHost host = await RestorePointHost.NewAsync(server, supervisor: new StaticSupervisor(_ => throw new NotSupportedException(), (command, _) =>
        {
            ran.Add(command);
            return Task.FromResult(end);
        }));
        host.Options = host.Options with { RestorePoints = new() { Command = "/opt/backup --type 'full one'", RestoreCommand = restore } };
        return host;
    }
}
