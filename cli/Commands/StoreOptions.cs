using System.CommandLine;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;

namespace Agent.Cli.Commands;

/// <summary>Options of the verbs that write to a store. Each may come from the environment, so that CI names them once.</summary>
internal sealed class StoreOptions
{
    internal const string StoreVariable = "AGENTCTL_STORE", KeyFileVariable = "AGENTCTL_KEY_FILE", AppVariable = "AGENTCTL_APP";

    public Option<string?> Store { get; } = new("--store") { Description = $"the store's directory, else ${StoreVariable}", HelpName = "DIR" };

    public Option<string?> KeyFile { get; } = new("--key-file") { Description = $"the private keys, else ${KeyFileVariable}", HelpName = "FILE" };

    public Option<string?> App { get; } = new("--app") { Description = $"the app, else ${AppVariable}, else that of .agentctl.yaml or hosts.yaml", HelpName = "NAME" };

    /// <summary>Where the publisher remembers what it has seen of each store, so that nobody can give it an older state. Kept across runs.</summary>
    public static string MemoryDirectory
    {
        get
        {
            string? state = Environment.GetEnvironmentVariable("XDG_STATE_HOME");
            if (string.IsNullOrEmpty(state)) state = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "state");
            return Path.Combine(state, "agentctl");
        }
    }

    public string StoreOf(ParseResult parsed) => Required(parsed.GetValue(Store), "--store", "DIR", StoreVariable);

    public string KeyFileOf(ParseResult parsed) => Path.GetFullPath(Required(parsed.GetValue(KeyFile), "--key-file", "FILE", KeyFileVariable));

    public AppName AppOf(Call call) => AppOrNull(call) ?? throw new OperatorException(ExitCode.Usage, "--app is missing", $"add --app NAME, or set {AppVariable}");

    /// <summary>The app where one is named, else null.</summary>
    public AppName? AppOrNull(Call call)
    {
        string? app = call.Parsed.GetValue(App) is { Length: > 0 } typed ? typed
            : Environment.GetEnvironmentVariable(AppVariable) is { Length: > 0 } usual ? usual
            : call.Inventory().App;
        return app is null ? null : new AppName(app);
    }

    public IStoreWriter OpenStore(Call call) => Stores.OpenWriter(StoreOf(call.Parsed), new Disk(), call.Time);

    public TrustRepository Open(Call call, KeyFile keys) => new(OpenStore(call), keys, new Disk(), MemoryDirectory, call.Time);

    internal static string Required(string? typed, string option, string value, string variable) =>
        typed is { Length: > 0 } ? typed
        : Environment.GetEnvironmentVariable(variable) is { Length: > 0 } usual ? usual
        : throw new OperatorException(ExitCode.Usage, $"{option} is missing", $"add {option} {value}, or set {variable}");
}
