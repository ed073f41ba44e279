using System.Collections;
using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary><c>db shell</c>: psql in agentctl's place, as the app's role. The password is in its environment alone.</summary>
internal static class DatabaseShellCommand
{
    public static Verb Create(Verbs verbs)
    {
        var arguments = new Argument<string[]>("ARGUMENTS") { Description = "of psql, after --", Arity = ArgumentArity.ZeroOrMore };
        return verbs.AskingOne(
            new Verb("shell", "Opens psql on the app's database, as the app's role; for admins, and recorded. Exits as psql does.", "agentctl db shell", "agentctl db shell --app shop -- -c VACUUM"),
            [arguments, verbs.App],
            async (call, cancellationToken) =>
            {
                if (call.Json) throw new OperatorException(ExitCode.Usage, "psql writes what it is told to, not JSON", "take --output json out; for CSV: agentctl db shell -- --csv -c 'SELECT ...'");
                string psql = Find(Environment.GetEnvironmentVariable("PATH") ?? "")
                    ?? throw new OperatorException(ExitCode.Refused, "psql is not on this host", "apt install postgresql-client (dnf install postgresql)");
                GetDatabaseUrlResponse response = await DatabaseUrlCommand.AskAsync(call, reveal: true, cancellationToken);
                throw ProgramImage.Replace(psql, [psql, .. call.Parsed.GetValue(arguments) ?? []], Variables(response.Environment));
            },
            "psql takes the place of agentctl");
    }

    private static string? Find(string path) => path.Split(':').Where(Path.IsPathRooted).Select(directory => Path.Combine(directory, "psql")).FirstOrDefault(File.Exists);

    // None of the caller's own PG*: they would lead psql elsewhere.
    private static IEnumerable<string> Variables(IDictionary<string, string> database)
    {
        foreach (DictionaryEntry own in Environment.GetEnvironmentVariables())
            if (!((string)own.Key).StartsWith("PG", StringComparison.Ordinal)) yield return $"{own.Key}={own.Value}";
        foreach ((string name, string value) in database) yield return $"{name}={value}";
    }
}
