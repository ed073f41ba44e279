using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Hosting;

/// <summary>agentd's few options; everything else is in its files.</summary>
internal sealed record CommandLineOptions(string ConfigurationDirectory)
{
    private const string Help = """
        agentd - pulls signed releases, switches to them, and goes back when they are bad

        Usage: agentd [--config DIRECTORY]

          --config DIRECTORY   holds agentd.yaml, apps.d/ and root.json (default /etc/agentd)
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
                return new CommandLineOptions(ConfigurationFiles.DefaultDirectory);
            case ["--config", { Length: > 0 } directory]:
                return new CommandLineOptions(Path.GetFullPath(directory));
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
}
