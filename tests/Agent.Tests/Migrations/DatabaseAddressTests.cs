using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Migrations;

public sealed class DatabaseAddressTests : IDisposable
{
    private static readonly Dictionary<string, string> None = [];
    private readonly TemporaryDirectory home = new();

    public void Dispose() => home.Dispose();

    [Theory]
    [InlineData("postgres://shop:sesame@db.example/orders", "PGHOST=db.example PGPORT=5432 PGUSER=shop PGDATABASE=orders PGPASSWORD=sesame PGSSLMODE=prefer")]
    [InlineData("postgresql://shop@db.example:5433", "PGHOST=db.example PGPORT=5433 PGUSER=shop PGDATABASE=shop PGPASSFILE=/nonexistent")]
    [InlineData("ecto://shop:p%40ss%25%3A%2F@db/x%C3%A4", "PGPASSWORD=p@ss%:/ PGDATABASE=xä")]
    [InlineData("postgis://shop:a:b@db/x", "PGPASSWORD=a:b PGHOST=db")]
    [InlineData("postgresql+asyncpg://shop:a?b#c@db/x", "PGPASSWORD=a?b#c PGHOST=db")]
    [InlineData("postgres://shop:x@[2001:db8::1]:5433/x", "PGHOST=2001:db8::1 PGPORT=5433")]
    [InlineData("postgres://shop:x@a:1,b,[::1]:3/x?target_session_attrs=any", "PGHOST=a,b,::1 PGPORT=1,5432,3 PGTARGETSESSIONATTRS=any")]
    [InlineData("postgres://shop:x@a,b/x", "PGHOST=a,b PGPORT=5432,5432 PGTARGETSESSIONATTRS=read-write")]
    [InlineData("postgres:///shop?host=/run/postgresql&user=web", "PGHOST=/run/postgresql PGUSER=web PGDATABASE=shop PGSSLMODE=disable")]
    [InlineData("postgres://web@%2Frun%2Fpg:5433/shop?sslmode=require", "PGHOST=/run/pg PGPORT=5433 PGSSLMODE=disable")]
    [InlineData("postgres://web@/shop", "PGHOST=/var/run/postgresql PGPORT=5432")]
    [InlineData("postgres://shop:x@db/x?sslmode=require&connect_timeout=7&application_name=a&options=-c%20search_path%3Dshop&channel_binding=require", "PGSSLMODE=require PGSSLROOTCERT=/nonexistent PGCONNECT_TIMEOUT=7 PGOPTIONS=-c|search_path=shop PGCHANNELBINDING=require")]
    [InlineData("postgres://shop:x@db/x?pool_size=10&schema=public&ssl=true&connection_limit=3", "PGSSLMODE=require PGHOST=db")]
    [InlineData("postgres://shop:x@db/x?require_auth=scram-sha-256,password&target_session_attrs=read-write", "PGREQUIREAUTH=scram-sha-256,password")]
    [InlineData("postgres://shop:x@db/x?gssencmode=prefer", "PGHOST=db PGGSSENCMODE=disable")]
    [InlineData("jdbc:postgresql://db:5433/orders?user=shop&password=sesame&currentSchema=x", "PGHOST=db PGPORT=5433 PGDATABASE=orders PGUSER=shop PGPASSWORD=sesame")]
    [InlineData("host=/run/postgresql dbname=shop user=shop", "PGHOST=/run/postgresql PGDATABASE=shop PGUSER=shop PGSSLMODE=disable")]
    [InlineData(" host = db  port=5433 user='shop''s'", "")]
    [InlineData("host=db port=5433 user='it\\'s me' password='a b\\\\' dbname=x keepalives=1", "PGUSER=it's|me PGPASSWORD=a|b\\ PGPORT=5433")]
    [InlineData("host=db user=shop password=a;b=c dbname=x", "PGPASSWORD=a;b=c PGHOST=db")]
    [InlineData("Host=db;Port=5433;Username=shop;Password=\"a;b\";Database=orders;SSL Mode=Require;Pooling=true;Maximum Pool Size=5", "PGHOST=db PGPORT=5433 PGUSER=shop PGPASSWORD=a;b PGDATABASE=orders PGSSLMODE=require")]
    [InlineData("Server=db;User Id=shop;Password=x;Database=orders", "PGHOST=db PGPORT=5432 PGUSER=shop")]
    [InlineData("Server=a:1,b;User Id=shop;Password=x;Database=orders;Target Session Attributes=ReadWrite", "")]
    [InlineData("Host=a:1,b;Username=shop;Password=x;Database=orders", "PGHOST=a,b PGPORT=1,5432")]
    [InlineData("host=db;username=shop;password=x;database=orders", "PGHOST=db PGUSER=shop PGDATABASE=orders")]
    public void Reads_what_people_write(string text, string expected)
    {
        if (expected.Length == 0)
        {
            Assert.Throws<OperatorException>(() => Of(text));
            return;
        }
        IReadOnlyDictionary<string, string> tools = Of(text).ToolEnvironment;
        foreach (string pair in expected.Split(' '))
            Assert.Equal(pair.Split('=', 2)[1].Replace('|', ' '), tools[pair.Split('=', 2)[0]]);
    }

    [Theory]
    [InlineData("sesame", "DATABASE_URL is no connection string")]
    [InlineData("mysql://shop:sesame@db/x", "DATABASE_URL is a URL of something else than PostgreSQL")]
    [InlineData("postgres://shop:sesame@word@db/x", "DATABASE_URL has more than one '@'")]
    [InlineData("postgres://shop:sesame%zz@db/x", "DATABASE_URL has a '%' in password that encodes nothing")]
    [InlineData("postgres://shop:sesame%ff@db/x", "DATABASE_URL has a '%' in password")]
    [InlineData("postgres://shop:sesame%00@db/x", "DATABASE_URL has a '%' in password")]
    [InlineData("postgres://shop:sesame%4", "DATABASE_URL")]
    [InlineData("postgres://shop:sesame%0A@db/x", "password of DATABASE_URL holds a NUL or ends with a line feed")]
    [InlineData("postgres://shop:sesame@db:port/x", "port of DATABASE_URL is no port")]
    [InlineData("postgres://shop:sesame@db:70000/x", "port of DATABASE_URL is no port")]
    [InlineData("postgres://shop:sesame@[::1/x", "DATABASE_URL has a host that begins with '['")]
    [InlineData("postgres://shop:sesame@db/x?sslmode=sesame", "sslmode of DATABASE_URL is not known")]
    [InlineData("postgres://shop:sesame@db/x?sslfactory=sesame", "DATABASE_URL has the option sslfactory")]
    [InlineData("postgres://shop:sesame@db/x?sslcrl=/sesame", "sslcrl of DATABASE_URL is not supported")]
    [InlineData("postgres://shop:sesame@db/x?sslmode=verify-full", "sslmode of DATABASE_URL verifies, but there is no root certificate")]
    [InlineData("postgres://shop:sesame@db/x?sslmode=verify-ca&sslrootcert=/nowhere", "sslrootcert of DATABASE_URL names a file that is not there")]
    [InlineData("postgres://shop:sesame@db/x?sslmode=require&sslrootcert=system", "sslmode of DATABASE_URL is too weak")]
    [InlineData("postgres://shop:sesame@db/x?sslcert=/nowhere", "sslcert of DATABASE_URL names a file")]
    [InlineData("postgres://shop:sesame@db/x?channel_binding=sesame", "channel_binding of DATABASE_URL is not known")]
    [InlineData("postgres://shop:sesame@db/x?target_session_attrs=sesame", "target_session_attrs of DATABASE_URL is not known")]
    [InlineData("postgres://shop:sesame@db/x?connect_timeout=sesame", "connect_timeout of DATABASE_URL is no number")]
    [InlineData("postgres://shop:sesame@db/x?require_auth=sesame", "require_auth of DATABASE_URL is not known")]
    [InlineData("postgres://shop:sesame@db/x?gssencmode=require", "gssencmode of DATABASE_URL asks for encryption by Kerberos")]
    [InlineData("Host=db;Username=shop;Password=sesame;Database=x;GSS Encryption Mode=Require", "gssencmode of DATABASE_URL asks for encryption by Kerberos")]
    [InlineData("postgres://shop:sesame@db/x?gssencmode=sesame", "gssencmode of DATABASE_URL is not known")]
    [InlineData("postgres://shop:sesame@a,b,c/x?port=1,2", "port of DATABASE_URL has 2 ports for 3 hosts")]
    [InlineData("host=db password='sesame", "DATABASE_URL has a quote that is not closed")]
    [InlineData("host=db sesam=sesame", "DATABASE_URL has sesam, which is no parameter")]
    [InlineData("host=db sesame", "DATABASE_URL is no connection string")]
    [InlineData("service=nowhere password=sesame", "there is no service [nowhere]")]
    public void Refuses_by_the_variables_name_and_tells_no_value(string text, string told)
    {
        OperatorException refused = Assert.Throws<OperatorException>(() => Of(text));
        Assert.Equal(ExitCode.Refused, refused.Code);
        Assert.StartsWith(told, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("sesame", refused.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Secrets_win_over_the_environment()
    {
        var environment = new Dictionary<string, string> { ["DATABASE_URL"] = "postgres://a@one/x", ["PGPASSWORD"] = "one" };
        Assert.Equal("postgres://a@two:5432/x", DatabaseAddress.Of("DATABASE_URL", environment, new Dictionary<string, string> { ["DATABASE_URL"] = "postgres://a@two/x" }, Files).Shown);
    }

    [Fact]
    public void Variables_stand_in_for_what_the_text_leaves_open()
    {
        var secrets = new Dictionary<string, string> { ["PGHOST"] = "db", ["PGPORT"] = "5433", ["PGUSER"] = "shop", ["PGPASSWORD"] = "sesame", ["PGDATABASE"] = "orders", ["PGSSLMODE"] = "require", ["PGOPTIONS"] = "-c a=b" };
        IReadOnlyDictionary<string, string> tools = DatabaseAddress.Of("DATABASE_URL", None, secrets, Files).ToolEnvironment;
        Assert.All(secrets, pair => Assert.Equal(pair.Value, tools[pair.Key]));
        secrets["DATABASE_URL"] = "postgres://web@other/";
        Assert.Equal("postgres://web@other:5433/orders", DatabaseAddress.Of("DATABASE_URL", None, secrets, Files).Shown);
        secrets["PGPORT"] = "x";
        Assert.StartsWith("PGPORT is no port", Assert.Throws<OperatorException>(() => DatabaseAddress.Of("DATABASE_URL", None, secrets, Files)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_anything_it_is_refused() =>
        Assert.Equal("neither the secrets nor the environment have DATABASE_URL", Assert.Throws<OperatorException>(() => DatabaseAddress.Of("DATABASE_URL", None, None, Files)).Message);

    [Fact]
    public void A_service_stands_between_text_and_variables()
    {
        home.Write(".pg_service.conf", "# mine\n[other]\nhost=wrong\n[shop]\nhost=db\nport=5433\nuser=web\n\n[last]\nhost=wrong\n");
        home.Write("system/pg_service.conf", "[everywhere]\nhost=all\n[shop]\nhost=wrong\n");
        string named = home.Write("named.conf", "[shop]\nhost=named\n");
        var secrets = new Dictionary<string, string> { ["PGSERVICE"] = "shop", ["PGUSER"] = "nobody", ["PGDATABASE"] = "orders" };
        Assert.Equal("postgres://web@db:5433/orders", DatabaseAddress.Of("DATABASE_URL", None, secrets, Files).Shown);
        secrets["DATABASE_URL"] = "host=mine service=everywhere";
        Assert.Equal("postgres://nobody@mine:5432/orders", DatabaseAddress.Of("DATABASE_URL", None, secrets, Files).Shown);
        secrets["DATABASE_URL"] = "postgres:///?service=shop";
        secrets["PGSERVICEFILE"] = named;
        Assert.Equal("postgres://nobody@named:5432/orders", DatabaseAddress.Of("DATABASE_URL", None, secrets, Files).Shown);
    }

    [Fact]
    public void The_password_file_is_read_line_by_line()
    {
        Private(home.Write(".pgpass", "# mine\nother:*:*:*:wrong\ndb:5433:*:shop:wrong\ndb:5432:or\\:ders:shop:se\\:sa\\\\me:x\n*:*:*:*:last\nlocalhost:5432:*:sock:never\n"));
        Assert.Equal("se:sa\\me:x", Of("postgres://shop@db/or%3Aders").ToolEnvironment["PGPASSWORD"]);
        Assert.Equal("last", Of("postgres://shop@db/orders").ToolEnvironment["PGPASSWORD"]);
        string named = home.Write("named", "localhost:5432:*:shop:socket\n");
        Private(named);
        Assert.Equal("socket", Of($"postgres://shop@/orders?passfile={named}").ToolEnvironment["PGPASSWORD"]);
        Assert.DoesNotContain("PGPASSWORD", Of($"postgres://shop@db/orders?passfile={named}").ToolEnvironment);
        Assert.Equal("given", Of($"postgres://shop:given@/orders?passfile={named}").ToolEnvironment["PGPASSWORD"]);
    }

    [Fact]
    public void A_password_file_that_others_can_read_is_passed_over_with_a_warning()
    {
        string path = home.Write(".pgpass", "*:*:*:*:sesame\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        DatabaseAddress address = Of("postgres://shop@db/orders");
        Assert.Equal([$"{path} is open to others than its owner (chmod 600), and is ignored"], address.Warnings);
        Assert.Equal("/nonexistent", address.ToolEnvironment["PGPASSFILE"]);
        Assert.DoesNotContain("PGPASSWORD", address.ToolEnvironment);
        Assert.Contains("Passfile=/dev/null", address.ConnectionString, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void A_root_certificate_that_is_there_makes_require_verify()
    {
        string path = home.Write(".postgresql/root.crt", "");
        IReadOnlyDictionary<string, string> tools = Of("postgres://shop:x@db/x?sslmode=require").ToolEnvironment;
        Assert.Equal(("verify-ca", path), (tools["PGSSLMODE"], tools["PGSSLROOTCERT"]));
        Assert.Equal("prefer", Of("postgres://shop:x@db/x").ToolEnvironment["PGSSLMODE"]);
        Assert.Equal("verify-full", Of("postgres://shop:x@db/x?sslmode=verify-full").ToolEnvironment["PGSSLMODE"]);
    }

    [Theory]
    [InlineData("postgres://shop:sesame@db/orders", "postgres://shop@db:5432/orders")]
    [InlineData("postgres://shop:sesame@[::1]:1,b/orders", "postgres://shop@[::1]:1,b:5432/orders")]
    [InlineData("postgres://shop:sesame@/orders", "postgres://shop@/orders?host=/var/run/postgresql")]
    [InlineData("host=/run/pg port=5433 user='a b' password=sesame dbname='x\u001b[31m'", "postgres://a%20b@/x%1B%5B31m?host=/run/pg&port=5433")]
    [InlineData("host='db\u001b' user=shop password=sesame dbname=x", "postgres://shop@db?:5432/x")]
    public void Is_shown_without_its_password(string text, string shown)
    {
        DatabaseAddress address = Of(text);
        Assert.Equal(shown, address.Shown);
        Assert.Equal(shown, $"{address}");
    }

    [Fact]
    public void Another_database_of_the_same_server() =>
        Assert.Equal("postgres://shop@db:5432/scratch", Of("postgres://shop:x@db/orders").WithDatabase("scratch").Shown);

    [Fact]
    public void Any_password_comes_through() => Prop.ForAll<NonEmptyString>(any =>
    {
        string password = any.Get.Replace('\0', ' ');
        if (password.Any(char.IsSurrogate) || password.EndsWith('\n')) return true;   // the latter is refused
        string quoted = password.Replace("\\", @"\\", StringComparison.Ordinal).Replace("'", @"\'", StringComparison.Ordinal);
        return Of($"postgres://shop:{Uri.EscapeDataString(password)}@db/x").ToolEnvironment["PGPASSWORD"] == password
            && Of($"host=db password='{quoted}' user=shop").ToolEnvironment["PGPASSWORD"] == password
            && Of($"host=db password='{quoted}' user=shop").WithDatabase("y").ToolEnvironment["PGPASSWORD"] == password;
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [Fact]
    public void Any_text_is_read_or_refused() => Prop.ForAll(
        Gen.Elements("postgres://", "host=", "Host=", ";", "=", "'", "\"", "@", ":", "/", "?", "&", "%", "%4", "[", "]", ",", " ", "a", "1", "\\", "sslmode=", "port=", "password=", "\n", "\0", "ä").ArrayOf().Select(string.Concat).ToArbitrary(),
        text =>
        {
            try
            {
                DatabaseAddress address = Of(text);
                return address.Shown.Length > 0 && address.ToolEnvironment.Count > 0;
            }
            catch (OperatorException)
            {
                return true;
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    private LibpqFiles Files => new(new Disk(), home.Path, Path.Combine(home.Path, "system"));

    private DatabaseAddress Of(string text) => DatabaseAddress.Of("DATABASE_URL", None, new Dictionary<string, string> { ["DATABASE_URL"] = text }, Files);

    private static void Private(string path) => File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
}
