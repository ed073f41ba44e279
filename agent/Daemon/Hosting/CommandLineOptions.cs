using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Hosting;

/// <summary>agentd's few options; everything else is in its files.</summary>
/// <param name="CheckOnly">Says whether the configuration is good, and runs nothing.</param>
internal sealed record CommandLineOptions(string ConfigurationDirectory, bool CheckOnly)
{
    private const string Help = """
        agentd - pulls signed releases, switches to them, and goes back when they are bad

        Usage: agentd [--config DIRECTORY] [--check]

          --config DIRECTORY   holds agentd.yaml, apps.d/ and root.json (default /etc/agentd)
          --check              tell all that is wrong in the configuration (exit status 2), or that it is good (0); run nothing
          --version            print the version
          --help               print this

        systemd starts it: systemctl start agentd. Talk to it with agentctl.
        """;

    /// <returns>Null: the question was answered, there is nothing to run.</returns>
    /// <exception cref="OperatorException">Unknown argument (<see cref="ExitCode.Usage"/>).</exception>
    public static CommandLineOptions? Parse(string[] args)
    {
        switch (args)
        {
            case []:
                return new CommandLineOptions(ConfigurationFiles.DefaultDirectory, CheckOnly: false);
            case ["--check"]:
                return new CommandLineOptions(ConfigurationFiles.DefaultDirectory, CheckOnly: true);
            case ["--config", { Length: > 0 } directory]:
                return new CommandLineOptions(Path.GetFullPath(directory), CheckOnly: false);
            case ["--check", "--config", { Length: > 0 } directory]:
                return Parse(["--config", directory])! with { CheckOnly = true };
            case ["--config", { Length: > 0 } directory, "--check"]:
                return Parse(["--config", directory])! with { CheckOnly = true };
            case ["--version"]:
                Console.WriteLine(AgentApi.Version);
                return null;
            case ["--help" or "-h"]:
                Console.WriteLine(Help);
                return null;
            default:
                throw new OperatorException(ExitCode.Usage, $"agentd does not take '{string.Join(' ', args)}'", "see agentd --help");
        }
    }

    /// <summary>Answers <c>--check</c>.</summary>
    /// <returns>The exit status.</returns>
    /// <exception cref="OperatorException">With every problem, a line each (<see cref="ExitCode.Usage"/>).</exception>
    public int Check()
    {
        ConfigurationFiles.Check(ConfigurationDirectory, new Disk());
        Console.WriteLine("configuration is good");
        return (int)ExitCode.Live;
    }
}
