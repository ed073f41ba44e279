using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Reflection;
using Agent.Artifacts;
using Agent.Cli.Commands;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;

namespace Agent.Cli;

/// <summary>agentctl: the verbs, and what happens to their errors.</summary>
internal static class AgentCtl
{
    /// <summary>Exit status after Ctrl-C, as of any program that SIGINT ended.</summary>
    public const int Interrupted = 130;

    public static string Version { get; } =
        typeof(AgentCtl).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>The command line. A file in Commands for each verb; <c>--help</c> lists them in this order.</summary>
    /// <param name="workplace">Null: this process's.</param>
    public static Command CreateRoot(Terminal terminal, TimeProvider time, Workplace? workplace = null)
    {
        var verbs = new Verbs(terminal, time, workplace ?? Workplace.OfProcess());
        var root = new Verb("agentctl", "Tells agentd what to run, shows what happened, and publishes releases.", "agentctl status", "agentctl deploy v1.2.0 --app shop")
        {
            DeployCommand.Create(verbs),
            PushCommand.Create(verbs),
            RollbackCommand.Create(verbs),
            RolloutsCommand.Create(verbs),
            RolloutCommand.Create(verbs),
            CancelCommand.Create(verbs),
            WatchCommand.Create(verbs),
            StatusCommand.Create(verbs),
            HealthCommand.Create(verbs),
            HistoryCommand.Create(verbs),
            ReleasesCommand.Create(verbs),
            LogsCommand.Create(verbs),
            WhyCommand.Create(verbs),
            DiffCommand.Create(verbs),
            PollCommand.Create(verbs),
            HoldCommand.Create(verbs),
            ResumeCommand.Create(verbs),
            PinCommand.Create(verbs),
            UnpinCommand.Create(verbs),
            UnquarantineCommand.Create(verbs),
            RehearseCommand.Create(verbs),
            DatabaseCommand.Create(verbs),
            ConfigCommand.Create(verbs),
            AppCommand.Create(verbs),
            AuditCommand.Create(verbs),
            PairCommand.Create(verbs),
            ClientsCommand.Create(verbs),
            HostCommand.Create(verbs),
            DrillCommand.Create(verbs),
            PublishCommand.Create(verbs),
            PromoteCommand.Create(verbs),
            StoreCommand.Create(verbs),
            HostsCommand.Create(verbs),
            VersionCommand.Create(verbs),
            CompletionCommand.Create(verbs),
            CompletionCommand.CreateComplete(verbs),
            DialStdioCommand.Create(verbs),
            new HelpOption { Action = new HelpWithExamples() },
            new VersionOption { Action = new PrintVersion() },
        };
        return root;
    }

    public static Task<int> RunAsync(IReadOnlyList<string> args, TextWriter stdout, TextWriter stderr, CancellationToken cancellationToken) =>
        RunAsync(args, Terminal.Plain(stdout, stderr), TimeProvider.System, cancellationToken);

    /// <summary>Runs one command line. Never throws: every error is told on stderr, with what to do about it.</summary>
    /// <param name="workplace">Null: this process's.</param>
    /// <returns>The exit status: see <see cref="ExitCode"/>; 130 after Ctrl-C.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, Terminal terminal, TimeProvider time, CancellationToken cancellationToken, Workplace? workplace = null)
    {
        bool json = false;
        try
        {
            ParseResult parsed = CreateRoot(terminal, time, workplace).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
            json = parsed.GetResult(Verbs.OutputName) is OptionResult output && output.Tokens is [{ Value: "json" }, ..];
            bool answersByItself = parsed.Action is HelpWithExamples or PrintVersion;
            if (!answersByItself && UsageErrors.Find(parsed) is { } wrong) throw wrong;
            int exit = await parsed.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = terminal.Output,
                    Error = terminal.ErrorOutput,
                    EnableDefaultExceptionHandler = false,
                    ProcessTerminationTimeout = null,
                },
                cancellationToken);
            await terminal.Output.FlushAsync(CancellationToken.None);
            return exit;
        }
        catch (OperatorException e)
        {
            ErrorText.Write(terminal, e, json);
            return (int)e.Code;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Interrupted;
        }
        catch (IOException e) when (e is not FileNotFoundException and not DirectoryNotFoundException && terminal.IsBroken(e))
        {
            return 0;   // whoever read our output has seen enough: agentctl logs | head
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            ErrorText.Write(terminal, new OperatorException(ExitCode.Usage, e.Message.TrimEnd('.'), "check the path and who may read or write it", e), json);
            return (int)ExitCode.Usage;
        }
    }
}
