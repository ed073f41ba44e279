using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Hosting;
using Agent.Daemon.Systemd;

try
{
    if (CommandLineOptions.Parse(args) is not { } options) return 0;        // --help and --version have been answered
    if (options.CheckOnly) return options.Check();
    ConfigurationFiles configuration = ConfigurationFiles.Load(options.ConfigurationDirectory, new Agent.Artifacts.Durable.Disk());
    // Empty: the other builders read appsettings.json in the working directory and watch all below it, under systemd every directory of the host.
    WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
    builder.AddAgentHosting();                                              // Hosting      logs, notify, watchdog, one instance
    builder.Services
        .AddConfiguration(configuration, options.ConfigurationDirectory)    // Configuration  what the operator wants
        .AddState()                                                         // State        what we were doing when the power went
        .AddArtifacts()                                                     // Fetching     where releases come from, and why we believe them
        .AddSystemd()                                                       // Systemd      units, jobs and logs
        .AddHealth()                                                        // Health       checks, the gate, the watch between deployments
        .AddMigrations()                                                    // Migrations   what releases do to databases, and the way back
        .AddDeployments()                                                   // Deployments  the one state machine, Releases under it
        .AddTracking();                                                     // Tracking     follows the store
    builder.AddAgentApi(configuration.Agent);                               // Api          gRPC on the Unix socket
    await using WebApplication app = builder.Build();
    return await app.MapAgentApi().RunAgentAsync();                         // recover first, only then READY=1
}
catch (OperatorException e)
{
    return AgentHost.Report(e);
}
