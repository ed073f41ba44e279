using Agent.Artifacts;
using Agent.Daemon.Access;
using Agent.Daemon.Configuration;
using Grpc.Core;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Api;

/// <summary>A change, as log and audit name it.</summary>
/// <param name="App">As typed; empty where it was left out.</param>
/// <param name="Text"><c>deploy v1.2.0 --force</c>.</param>
/// <param name="AtLeast">A role above the one that the call itself takes.</param>
internal sealed record Wish(string App, string Text, Role AtLeast = Role.None)
{
    /// <summary>It is about the agent, not about an app that was left out.</summary>
    public bool IsOfAgent { get; init; }
}

/// <summary>
/// What every call of every service goes through: lets in who has the role that <see cref="Roles"/> asks for, tells errors as
/// callers understand them, and records who changed what.
/// </summary>
internal sealed class ApiCalls(
    IConfiguration configuration, Callers callers, AuditLog audit, RefusalBudget refusals, TimeProvider time, IHostApplicationLifetime lifetime, ILogger<AgentService> logger)
{
    /// <summary>What is told of a change that has no other outcome.</summary>
    public const string Done = "done";

    /// <param name="wish">Null: a question.</param>
    public async Task<T> AnswerAsync<T>(ServerCallContext context, Func<Caller, CancellationToken, Task<T>> answer, Wish? wish = null)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            return await answer(Admit(context, wish), stop.Token);
        }
        catch (Exception e)
        {
            throw ApiErrors.From(e, context.Method, context.CancellationToken.IsCancellationRequested, lifetime.ApplicationStopping.IsCancellationRequested, logger);
        }
    }

    // Ends with the agent, so that a stop does not wait for those who watch; their deployment is left to recovery.
    public Task StreamAsync(ServerCallContext context, Func<Caller, CancellationToken, Task> stream, Wish? wish = null) => AnswerAsync(context, async (caller, cancellationToken) =>
    {
        await stream(caller, cancellationToken);
        return true;
    }, wish);

    private Caller Admit(ServerCallContext context, Wish? wish)
    {
        Caller caller = callers.Of(context.GetHttpContext().Features);
        Demand demand = Roles.Of(context.Method);
        try
        {
            callers.Demand(caller, demand.Role, demand.Wish);
            if (wish is not null) callers.Demand(caller, wish.AtLeast, Shown(wish.Text));
            return caller;
        }
        catch (CallerRefusedException e)
        {
            RecordRefusal(caller, wish?.App ?? "", wish?.Text ?? demand.Wish, e.Message, told => logger.CallerRefused(caller.By, caller.From, Roles.Word(caller.Role), told));
            throw;
        }
    }

    /// <summary>Refuses a call of which nothing was read.</summary>
    public CallerRefusedException Refuse(Caller caller, string method)
    {
        Demand demand = Roles.Of(method);
        CallerRefusedException refusal = callers.Refusal(caller, demand.Role, demand.Wish);
        RecordRefusal(caller, "", demand.Wish, refusal.Message, told => logger.CallerRefused(caller.By, caller.From, Roles.Word(caller.Role), told));
        return refusal;
    }

    /// <summary>Does what was asked for, and tells log and audit what became of it.</summary>
    /// <param name="outcome">For the audit: a deployment's id, or <c>done</c>.</param>
    public async Task<T> AuditedAsync<T>(Caller caller, Wish wish, Func<Task<T>> change, Func<T, string> outcome)
    {
        string app = wish.App.Length > 0 ? wish.App : !wish.IsOfAgent && configuration.Apps is [var only] ? only.Name.Value : "";
        string shownApp = app.Length > 0 ? Shown(app) : wish.IsOfAgent ? "agentd" : "all apps", shown = Shown(wish.Text);
        if (caller.Role != Role.None) logger.ChangeAsked(shownApp, shown, caller.By);
        try
        {
            T done = await change();
            string result = outcome(done);
            logger.ChangeDone(shownApp, shown, caller.By, Shown(result));
            Audit(caller, app, wish.Text, refused: false, result);
            return done;
        }
        catch (Exception e) when (e is OperatorException or CallerRefusedException)
        {
            RecordRefusal(caller, app, wish.Text, e.Message, told => logger.ChangeRefused(shownApp, told, caller.By, Shown(e.Message)));
            throw;
        }
        catch (OperationCanceledException)
        {
            Audit(caller, app, wish.Text, refused: false, "broken off: the caller went away, or agentd was stopped");
            throw;
        }
        catch
        {
            Audit(caller, app, wish.Text, refused: false, "agentd failed at it: see its log");
            throw;
        }
    }

    // Whoever is refused again and again is told of together.
    private void RecordRefusal(Caller caller, string app, string wish, string cause, Action<string> log)
    {
        if (!refusals.Take(caller.Role == Role.None ? "" : caller.By, out int missed)) return;
        string more = missed == 0 ? "" : $" ({missed} more before that were not recorded)";
        log(Shown(wish) + more);
        Audit(caller, app, wish, refused: true, cause + more);
    }

    private void Audit(Caller caller, string app, string wish, bool refused, string outcome) =>
        audit.Write(new AuditEntry(time.GetUtcNow(), caller.By, Roles.Word(caller.Role), wish, app, refused, outcome, caller.From));

    private static string Shown(string typed) => PlainText.Of(typed, 400);

    /// <summary>The app that a caller named, or the only one where none was named.</summary>
    public AppName One(string app)
    {
        if (app.Length > 0) return configuration.App(new AppName(app)).Name;
        return configuration.Apps switch
        {
            [var only] => only.Name,
            [] => throw new OperatorException(ExitCode.Usage, "there is no app on this host", "write /etc/agentd/apps.d/APP.yaml and restart agentd"),
            var several => throw new OperatorException(ExitCode.Usage, $"which app? There are {string.Join(", ", several.Select(a => a.Name))}", $"name one: --app {several[0].Name}"),
        };
    }

    public IEnumerable<AppOptions> OneOrAll(string app) => app.Length > 0 ? [configuration.App(new AppName(app))] : configuration.Apps;

    /// <summary>A change: recorded with who asked and what became of it.</summary>
    public Task<T> ChangeAsync<T>(ServerCallContext context, Wish wish, Func<Caller, CancellationToken, Task<T>> change, Func<T, string> outcome) =>
        AnswerAsync(context, (caller, cancellationToken) => AuditedAsync(caller, wish, () => change(caller, cancellationToken), outcome), wish);
}
