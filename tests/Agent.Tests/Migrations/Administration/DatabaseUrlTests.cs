using Agent.Daemon.Migrations.Administration;
using Npgsql;

namespace Agent.Tests.Migrations.Administration;

public class DatabaseUrlTests
{
    [Theory]
    [InlineData("Host=db.example;Username=shop;Password=s;Database=shop", "postgres://shop:s@db.example:5432/shop")]
    [InlineData("Host=::1;Port=5433;Username=shop;Database=shop", "postgres://shop@[::1]:5433/shop")]
    [InlineData("Host=db;Username=a b;Password='p@:/?';Database=x/y;SSL Mode=VerifyFull;Root Certificate=/etc/ca.pem", "postgres://a%20b:p%40%3A%2F%3F@db:5432/x%2Fy?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem")]
    [InlineData("Host=/run/postgresql;Port=5433;Username=shop;Database=shop", "postgres://shop@/shop?host=%2Frun%2Fpostgresql&port=5433")]
    public void Is_as_libpq_reads_it(string connection, string url) => Assert.Equal(url, DatabaseUrl.Of(new NpgsqlConnectionStringBuilder(connection)));
}
