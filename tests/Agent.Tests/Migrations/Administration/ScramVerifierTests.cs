using Agent.Daemon.Migrations.Administration;
using Agent.Tests.Fakes;
using Npgsql;

namespace Agent.Tests.Migrations.Administration;

public class ScramVerifierTests(PostgresServer server)
{
    // RFC 7677, 3: its salt and password; keys as PostgreSQL derives them.
    [Fact]
    public void Is_that_of_the_standards_example() => Assert.Equal(
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        ScramVerifier.Of("pencil", Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096));

    [Fact]
    public async Task The_server_lets_in_who_knows_the_password_and_nobody_else()
    {
        server.Start();
        await server.ExecuteAsync("postgres", $"CREATE ROLE scram LOGIN PASSWORD '{ScramVerifier.Of("sesame")}'");
        string Of(string password) => new NpgsqlConnectionStringBuilder(server.Superuser()) { Username = "scram", Password = password }.ConnectionString;
        Assert.Equal("scram", await Admins.AskAsync(Of("sesame"), "SELECT current_user"));
        Assert.Equal("28P01", (await Assert.ThrowsAsync<PostgresException>(() => Admins.AskAsync(Of("sesam"), "SELECT 1"))).SqlState);
    }

    [Fact]
    public void No_two_are_the_same() => Assert.NotEqual(ScramVerifier.Of("sesame"), ScramVerifier.Of("sesame"));
}
