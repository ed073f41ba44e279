using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseCreateCommand
{
    // Making a database copies another one; the agent has a limit of its own.
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(20);

    public static Verb Create(Verbs verbs) => verbs.AskingOne(
        new Verb("create",
            "Makes a role and a database for the app, which may do nothing else, and puts the URL with a new password into the app's secrets. The password is not shown. "
            + "What was broken off goes on when it is run again.",
            "agentctl db create", "agentctl db create --app shop"),
        [verbs.App],
        (call, cancellationToken) => Change.RunAsync(
            call, (client, options) => client.CreateDatabaseAsync(new CreateDatabaseRequest { App = call.App }, options), s_limit, cancellationToken),
        "the hosts of an app share one database");
}
