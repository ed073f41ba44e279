using System.Reflection;
using Agent.TestHosts;
using Host = Agent.TestHosts.TestHost;

namespace Agent.SystemTests.Systemd;

/// <summary>Runs each of <see cref="SupervisorInside"/>, <see cref="CommandsInside"/>, <see cref="RenderedInside"/> and <see cref="DaemonInside"/> on a real systemd: in this assembly's own process inside of a throwaway host.</summary>
public sealed class SupervisorTests(SupervisorTests.OneHost shared) : IClassFixture<SupervisorTests.OneHost>
{
    private const string Mounted = "/opt/system-tests";

    public static TheoryData<string> Names => new(new[] { typeof(SupervisorInside), typeof(CommandsInside), typeof(RenderedInside), typeof(DaemonInside) }
        .SelectMany(t => t.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
        .Where(m => m.GetCustomAttribute<FactAttribute>() is not null).Select(m => $"{m.DeclaringType!.Name}.{m.Name}"));

    [Theory]
    [MemberData(nameof(Names))]
    public async Task On_a_real_systemd(string name)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "throwaway hosts need root");
        Host host = await shared.GetAsync();
        string assembly = $"{Mounted}/{Path.GetFileName(typeof(SupervisorTests).Assembly.Location)}";
        CommandResult result = await host.RunAsync(
            [DotNet(), "exec", assembly, "-explicit", "only", "-method", $"{typeof(SupervisorTests).Namespace}.{name}"],
            null, null, TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);
        Assert.True(result.Exit == 0 && !result.Output.Contains("Total: 0,", StringComparison.Ordinal), result.Output + result.Errors);
    }

    // The shared framework lies in shared/NAME/VERSION beside the program that runs it.
    private static string DotNet() => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../../dotnet"));

    public sealed class OneHost : IAsyncLifetime
    {
        private Host? host;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        internal async Task<Host> GetAsync() => host ??= await Host.UpAsync("supervisor", new TestHostOptions
        {
            Binds = [new Bind(AppContext.BaseDirectory.TrimEnd('/'), Mounted, Writable: false)],
        }, TestContext.Current.CancellationToken);

        public async ValueTask DisposeAsync()
        {
            if (host is not null) await host.DisposeAsync();
        }
    }
}
