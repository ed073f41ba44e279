namespace Agent.Tests.Fakes;

public sealed class PostgresServerTests(PostgresServer server)
{
    [Fact]
    public async Task Gives_each_test_a_database_of_its_own()
    {
        string one = await server.NewDatabaseAsync(), other = await server.NewDatabaseAsync();
        await server.ExecuteAsync(one, "CREATE TABLE t (a int)");
        Assert.Equal(["0"], await server.QueryAsync(other, "SELECT count(*) FROM pg_tables WHERE tablename = 't'"));
    }
}
