using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Configuration;

public sealed class SecretsFileTests : IDisposable
{
    private const string Private = "/etc/agentd/secrets.d/shop.env";

    private static readonly AppName Shop = new("shop");
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData("A=b", "b")]
    [InlineData("A=", "")]
    [InlineData("A=''", "")]
    [InlineData("A=\"\"", "")]
    [InlineData("  A=b c  ", "b c")]
    [InlineData("A=b\r", "b")]
    [InlineData("A=b=c#d;e$f${g}`h`", "b=c#d;e$f${g}`h`")]
    [InlineData("A='b \"c\" \\d $e'", "b \"c\" \\d $e")]
    [InlineData("A=\"b \\\" \\\\ \\` \\$ c' #\"", "b \" \\ ` $ c' #")]
    [InlineData("A=\" b \"", " b ")]
    [InlineData("A=ü€𝄞", "ü€𝄞")]
    [InlineData("# remark\n; remark\n\n\t\nA=b", "b")]
    public void Reads_what_systemd_reads(string text, string value) => Assert.Equal(value, Assert.Single(Parse(text)).Value);

    [Theory]
    [InlineData("sesame", ":1: is not NAME=VALUE")]
    [InlineData("export A=sesame", ":1: is not NAME=VALUE")]
    [InlineData("A =sesame", ":1: is not NAME=VALUE")]
    [InlineData("9A=sesame", ":1: is not NAME=VALUE")]
    [InlineData("A-B=sesame", ":1: is not NAME=VALUE")]
    [InlineData("\uFEFFA=sesame", ":1: is not NAME=VALUE")]
    [InlineData("A= sesame", ":1: A has a blank after '='")]
    [InlineData("\nA=sesame\\", ":2: A holds a quote or backslash, but is not in quotes")]
    [InlineData("A=ses'ame", ":1: A holds a quote or backslash")]
    [InlineData("A='sesame", ":1: A has an open quote")]
    [InlineData("A='sesame\nB=c'", ":1: A has an open quote")]
    [InlineData("A='sesame' x", ":1: A goes on after its closing quote")]
    [InlineData("A=\"sesame\"\"x\"", ":1: A goes on after its closing quote")]
    [InlineData("A=\"sesame\\n\"", ":1: A holds a backslash that escapes nothing")]
    [InlineData("A=\"sesame\\\"", ":1: A has an open quote")]
    [InlineData("A=sesame\nA=c", ":2: A is here twice, first in line 1")]
    [InlineData("A=sesa\0me", ":1: holds a control character")]
    [InlineData("A=b\rB=sesame", ":1: holds a control character")]
    [InlineData("# sesame \\\nA=b", ":1: is a remark with a backslash")]
    public void Refuses_what_may_be_read_in_two_ways_and_tells_no_value(string text, string problem)
    {
        string told = Assert.Throws<OperatorException>(() => Parse(text)).Message;
        Assert.Contains(problem, told, StringComparison.Ordinal);
        Assert.DoesNotContain("sesame", told, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_what_the_kernel_would_not_hand_over()
    {
        Assert.Single(Parse("A=" + new string('x', (128 << 10) - 3)));
        Assert.Contains("A is longer than 128 KiB", Assert.Throws<OperatorException>(() => Parse("A=" + new string('x', (128 << 10) - 2))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tells_all_lines_at_once()
    {
        string told = Assert.Throws<OperatorException>(() => Parse("A\nB=1\nC='")).Message;
        Assert.Equal(["file:1", "file:3"], told.Split('\n').Select(line => line[..6]));
    }

    [Fact]
    public void No_text_does_anything_but_read_or_be_refused() => Prop.ForAll(Lines().ToArbitrary(), text =>
    {
        try
        {
            return Parse(text).All(pair => Names.IsVariable(pair.Key) && !pair.Value.Contains('\n', StringComparison.Ordinal));
        }
        catch (OperatorException)
        {
            return true;
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_value_in_single_quotes_is_read_as_it_stands() => Prop.ForAll(ArbMap.Default.ArbFor<NonNull<string>>(), any =>
    {
        string value = string.Concat(any.Get.Where(c => !char.IsControl(c) && c != '\''));
        return Parse($"A='{value}'")["A"] == value;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Reads_a_file_that_is_roots_alone()
    {
        SimulatedDisk disk = Disk("A=b\n", DurableOperations.Mode600);
        Assert.Equal("b", Configuration(disk).Secrets(Private)["A"]);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void Refuses_a_file_that_others_may_open(UnixFileMode others)
    {
        SimulatedDisk disk = Disk("A=sesame\n", DurableOperations.Mode600 | others);
        var error = Assert.Throws<OperatorException>(() => Configuration(disk).Secrets(Private));
        Assert.Equal((ExitCode.Refused, $"{Private}: is open to others than its owner; run 'chmod 600 {Private}'"), (error.Code, error.Message));
    }

    [Fact]
    public void Refuses_a_link()
    {
        SimulatedDisk disk = Disk("A=b\n", DurableOperations.Mode600);
        disk.MakeLink("/etc/agentd/secrets.d/other.env", Private);
        Assert.Contains("is a link", Assert.Throws<OperatorException>(() => Configuration(disk).Secrets("/etc/agentd/secrets.d/other.env")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/etc/agentd/secrets.d", "is no file")]
    [InlineData("/etc/agentd/secrets.d/none.env", "is not there")]
    public void Refuses_what_is_no_file(string path, string problem) =>
        Assert.Contains(problem, Assert.Throws<OperatorException>(() => Configuration(Disk("", DurableOperations.Mode600)).Secrets(path)).Message, StringComparison.Ordinal);

    [Fact]
    public void Refuses_bytes_that_are_no_text()
    {
        string file = directory.Write("shop.env", [(byte)'A', (byte)'=', 0xff]);
        File.SetUnixFileMode(file, DurableOperations.Mode600);
        var problems = new Problems();
        Assert.Empty(SecretsFile.Load(new Disk(), file, problems));
        Assert.Equal(1, problems.Count);
    }

    [Fact]
    public void The_real_disk_tells_mode_owner_and_link()
    {
        string file = directory.Write("shop.env", "A=b");
        File.SetUnixFileMode(file, DurableOperations.Mode600);
        File.CreateSymbolicLink(file + ".link", file);
        var disk = new Disk();
        Assert.Equal((FileStatus.FileType.File, DurableOperations.Mode600), (disk.Status(file)!.Type, disk.Status(file)!.Mode));
        Assert.Equal(FileStatus.FileType.Link, disk.Status(file + ".link")!.Type);
        Assert.Null(disk.Status(file + ".none"));
        Assert.Equal(Environment.IsPrivilegedProcess, disk.Status(file)!.Owner == 0);
    }

    [Fact]
    public void Without_the_key_the_file_at_the_usual_place_is_used_where_there_is_one()
    {
        Assert.Null(Configuration(Disk(null, DurableOperations.Mode600)).Define(Shop, "command: bin/shop").SecretsFile);
        Assert.Equal(Private, Configuration(Disk("A=b", DurableOperations.Mode600)).Define(Shop, "command: bin/shop").SecretsFile);
    }

    [Fact]
    public void Check_tells_wrong_secrets_and_what_is_not_there_together()
    {
        directory.Write("apps.d/shop.yaml", "credentials:\n  key: /nonexistent/key\n");
        directory.Write("apps.d/blog.yaml", "keep: 0\nsecrets: /nonexistent/blog.env\n");
        File.SetUnixFileMode(directory.Write("secrets.d/shop.env", "A=b\nsesame\n"), DurableOperations.Mode600);
        var error = Assert.Throws<OperatorException>(() => ConfigurationFiles.Check(directory.Path, new Disk()));
        Assert.Equal(ExitCode.Usage, error.Code);
        Assert.Equal(
            [
                $"{directory.Path}/apps.d/blog.yaml:1: keep is '0'; write a whole number from 1 to 100",
                $"{directory.Path}/apps.d/blog.yaml:2: secrets names /nonexistent/blog.env, which is not there; make the file with mode 600, or take the line out",
                $"{directory.Path}/apps.d/shop.yaml:2: credentials.key names /nonexistent/key, which is not there; make the file, or take the line out",
                $"{directory.Path}/secrets.d/shop.env:2: is not NAME=VALUE; use letters, digits and '_' for the name, and no blank before '='",
            ],
            error.Message.Split('\n').Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Check_leaves_what_is_in_force_and_takes_what_is_good()
    {
        string file = directory.Write("apps.d/shop.yaml", "keep: 4");
        ConfigurationFiles configuration = ConfigurationFiles.Load(directory.Path, new Disk());
        File.WriteAllText(file, "keep: 5");
        configuration.Check();
        Assert.Equal(4, configuration.App(Shop).Keep);
    }

    [Fact]
    public void Check_of_a_directory_that_is_not_there_is_a_problem() =>
        Assert.Contains("is not there", Assert.Throws<OperatorException>(() => ConfigurationFiles.Check(directory.Path + "/none", new Disk())).Message, StringComparison.Ordinal);

    private static ConfigurationFiles Configuration(SimulatedDisk disk) => ConfigurationFiles.Load("/etc/agentd", disk);

    private static SimulatedDisk Disk(string? secrets, UnixFileMode mode)
    {
        var disk = new SimulatedDisk(new Fuse(int.MaxValue));
        disk.MakeDirectories("/etc/agentd/apps.d");
        disk.MakeDirectories("/etc/agentd/secrets.d");
        disk.WriteFile("/etc/agentd/apps.d/shop.yaml", DurableOperations.Mode600, _ => { });
        if (secrets is not null) disk.WriteFile(Private, mode, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(secrets)));
        return disk;
    }

    private static IReadOnlyDictionary<string, string> Parse(string text)
    {
        var problems = new Problems();
        IReadOnlyDictionary<string, string> secrets = SecretsFile.Parse(text, "file", problems);
        problems.ThrowIfAny(ExitCode.Refused, "");
        return secrets;
    }

    private static Gen<string> Lines() => Gen.OneOf(
        ArbMap.Default.GeneratorFor<NonNull<string>>().Select(any => any.Get),
        Gen.Elements("A", "B_1", "=", "'", "\"", "\\", "$", "\n", "\r", " ", "#", ";", "x", "\0", "\uD800").ListOf().Select(string.Concat));
}
