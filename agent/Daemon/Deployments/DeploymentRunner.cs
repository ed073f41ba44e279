using Agent.Artifacts;
using Agent.Daemon.Health;
using Agent.Daemon.State;
using static Agent.Daemon.State.JournalRecord;

namespace Agent.Daemon.Deployments;

/// <summary>Walks one deployment to its outcome: asks <see cref="DeploymentState"/> what is next, journals, acts, journals.</summary>
internal sealed class DeploymentRunner(
    DeploymentLog log, DeploymentSteps steps, HookRunner hooks, EvidenceCollector evidence, TimeProvider time, ILogger<DeploymentRunner> logger)
{
    /// <summary>Runs until the outcome, or until <paramref name="until"/> says that the rest may wait.</summary>
    /// <param name="cancellation">A person's wish to go back; heeded before the commit point.</param>
    /// <param name="stopping">The agent stops: the deployment is left as it is, for recovery.</param>
    /// <exception cref="OperationCanceledException"><paramref name="stopping"/>.</exception>
    public async Task RunAsync(string id, Func<DeploymentState, bool> until, Cancellation cancellation, CancellationToken stopping)
    {
        DeploymentWork work = NewWork(id);
        try
        {
            await WalkAsync(id, until, work, cancellation, stopping);
        }
        finally
        {
            await work.ReleaseDatabaseAsync();
        }
    }

    private async Task WalkAsync(string id, Func<DeploymentState, bool> until, DeploymentWork work, Cancellation cancellation, CancellationToken stopping)
    {
        while (true)
        {
            stopping.ThrowIfCancellationRequested();
            Deployment deployment = log.State.Find(id)!;
            DeploymentState state = DeploymentState.Of(deployment);
            if (until(state)) return;
            switch (state)
            {
                case DeploymentState.Forward or DeploymentState.Committing when cancellation.By is not null:
                    log.RecordIfPossible(new StepFailed(Now, id, state is DeploymentState.Forward f ? f.Step : Step.Gate, Cancelled(cancellation), "", Blame: false));
                    break;
                case DeploymentState.Forward s:
                    // Before the step is begun: where a hook says no, there is nothing of it to undo.
                    if (await TryHooksAsync(deployment, s.Step, work, cancellation, stopping)) TryRecord(new StepStarted(Now, id, s.Step), s.Step);
                    break;
                case DeploymentState.Acting s:
                    await DoAsync(deployment, s.Step, work, cancellation, stopping);
                    break;
                case DeploymentState.Committing:
                    TryRecord(new Committed(Now, id) { Contract = work.Contract }, Step.Gate);
                    break;
                case DeploymentState.Sweeping s:
                    log.RecordIfPossible(new StepStarted(Now, id, s.Step));
                    await FinishAsync(deployment, s.Step, work, stopping);
                    break;
                case DeploymentState.Backward s:
                    await UndoAsync(deployment, s.Undo[0], work, stopping);
                    break;
                case DeploymentState.Concluding s:
                    Conclude(deployment, s);
                    return;
                case DeploymentState.Finished:
                    return;
            }
        }
    }

    /// <summary>Ends what the agent's last life left running of a deployment beside its units. Never fails.</summary>
    public async Task StopHooksAsync(Deployment deployment, CancellationToken cancellationToken)
    {
        try
        {
            await hooks.StopAsync(deployment, NewWork(deployment.Id), cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            logger.HooksNotStopped(deployment.App, deployment.Id, e);   // they end at their own time limit
        }
    }

    private DateTimeOffset Now => time.GetUtcNow();

    private async Task DoAsync(Deployment deployment, Step step, DeploymentWork work, Cancellation cancellation, CancellationToken stopping)
    {
        using IDisposable? scope = Scope(deployment, step);
        logger.StepStarts(deployment.App, deployment.To.Version, step.Word(), deployment.Id);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation.Token, stopping);
        try
        {
            string? detail = await WithDeadlineAsync(deployment, step, work, $"{step.Word()} took too long", token => steps.DoAsync(deployment, step, work, token), stop.Token);
            await hooks.RunAsync(deployment, step, before: false, work, stop.Token);
            TryRecord(Done(deployment, step, detail, work), step);
            if (DeploymentState.Of(log.State.Find(deployment.Id)!) is DeploymentState.Forward { Step: Step.Flip }) await work.ReleaseDatabaseAsync();
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            await FailAsync(deployment, step, e, work, cancellation, stopping);
        }
    }

    /// <summary>What has nothing to do is left out.</summary>
    private StepDone Done(Deployment deployment, Step step, string? detail, DeploymentWork work) => step switch
    {
        Step.Prepare when work.Definition?.Database is null => new StepDone(Now, deployment.Id, step, detail) { Next = Step.Flip },
        Step.Backup when !work.Migration!.Pending => new StepDone(Now, deployment.Id, step, detail) { Next = Step.Flip },
        Step.Backup => new StepDone(Now, deployment.Id, step, detail) { SchemaMayStay = work.Migration!.MayStay },
        _ => new StepDone(Now, deployment.Id, step, detail),
    };

    /// <returns>False: one failed, and so the step has, before it began.</returns>
    private async Task<bool> TryHooksAsync(Deployment deployment, Step step, DeploymentWork work, Cancellation cancellation, CancellationToken stopping)
    {
        using IDisposable? scope = Scope(deployment, step);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation.Token, stopping);
        try
        {
            await hooks.RunAsync(deployment, step, before: true, work, stop.Token);
            return true;
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            await FailAsync(deployment, step, e, work, cancellation, stopping);
            return false;
        }
    }

    private async Task FailAsync(Deployment deployment, Step step, Exception e, DeploymentWork work, Cancellation cancellation, CancellationToken stopping)
    {
        string cause = cancellation.By is null ? Describe(e) : Cancelled(cancellation);
        logger.StepFailed(deployment.App, deployment.To.Version, step.Word(), deployment.Id, cause, e);
        // Not for a unit that somebody masked, stopped or restarted meanwhile, a bus that is away, or a person who changed their mind.
        bool blame = cancellation.By is null && e is GateException { Verdict.ByHand: false } or HookException or OperatorException { Code: ExitCode.RolledBack };
        await work.ReleaseDatabaseAsync();
        await evidence.CollectAsync(deployment, step, (e as GateException)?.Verdict.Last ?? [], work, stopping);
        log.RecordIfPossible(new StepFailed(Now, deployment.Id, step, work.Redactor.Clean(cause), (e as OperatorException)?.Remedy ?? "", blame));
    }

    /// <summary>Behind the commit point: what fails is told, and changes nothing.</summary>
    private async Task FinishAsync(Deployment deployment, Step step, DeploymentWork work, CancellationToken stopping)
    {
        using IDisposable? scope = Scope(deployment, step);
        try
        {
            await hooks.RunAsync(deployment, step, before: true, work, stopping);
            string? detail = await WithDeadlineAsync(deployment, step, work, $"{step.Word()} took too long", token => steps.DoAsync(deployment, step, work, token), stopping);
            await hooks.RunAsync(deployment, step, before: false, work, stopping);
            log.RecordIfPossible(new StepDone(Now, deployment.Id, step, detail));
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            string cause = work.Redactor.Clean(Describe(e));
            logger.StepFailed(deployment.App, deployment.To.Version, step.Word(), deployment.Id, cause, e);
            log.RecordIfPossible(new StepFailed(Now, deployment.Id, step, cause, (e as OperatorException)?.Remedy ?? "", Blame: false));
        }
    }

    private async Task UndoAsync(Deployment deployment, Step step, DeploymentWork work, CancellationToken stopping)
    {
        using IDisposable? scope = Scope(deployment, step);
        logger.UndoStarts(deployment.App, deployment.To.Version, step.Word(), deployment.Id);
        log.RecordIfPossible(new UndoStarted(Now, deployment.Id, step));
        try
        {
            await WithDeadlineAsync(
                deployment, step, work, $"going back over {step.Word()} took too long",
                async token =>
                {
                    await steps.UndoAsync(deployment, step, work, token);
                    return true;
                },
                stopping);
            log.RecordIfPossible(new UndoDone(Now, deployment.Id, step));
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            logger.UndoFailed(deployment.App, deployment.To.Version, step.Word(), deployment.Id, e.Message, e);
            if (step is Step.Restart or Step.Gate) await evidence.CollectOldAsync(deployment, (e as GateException)?.Verdict.Last ?? [], work, stopping);
            log.RecordIfPossible(new UndoFailed(Now, deployment.Id, step, work.Redactor.Clean(Describe(e))) { Remedy = (e as OperatorException)?.Remedy });
        }
    }

    private void Conclude(Deployment deployment, DeploymentState.Concluding state)
    {
        bool quarantine = state is { Blame: true, Outcome: Outcome.RolledBack } && deployment.From?.Digest != deployment.To.Digest;
        if (quarantine) DropDownloads(deployment.App);   // of any other failure they are kept for the next try
        log.RecordIfPossible(new DeploymentFinished(Now, deployment.Id, state.Outcome, quarantine));
        if (state.Outcome == Outcome.Live) logger.Live(deployment.App, deployment.To.Version, deployment.Id);
        else logger.NotLive(deployment.App, deployment.To.Version, deployment.Id, state.Outcome, log.State.Find(deployment.Id)?.Cause ?? "");
        if (quarantine) logger.Quarantined(deployment.App, deployment.To.Version, deployment.Id);
    }

    private void DropDownloads(AppName app)
    {
        try
        {
            steps.DropDownloads(app);
        }
        catch (IOException e)
        {
            logger.DownloadsNotDropped(app, e);   // the next sweep takes them
        }
    }

    /// <summary>A record without which nothing may go on: where the disk does not take it, the step has failed.</summary>
    private void TryRecord(OfDeployment record, Step step)
    {
        try
        {
            log.Record(record);
        }
        catch (IOException e)
        {
            log.RecordIfPossible(new StepFailed(Now, record.Deployment, step, $"the journal could not be written: {e.Message}", "free space below the agent's data directory", Blame: false));
        }
    }

    private async Task<T> WithDeadlineAsync<T>(
        Deployment deployment, Step step, DeploymentWork work, string late, Func<CancellationToken, Task<T>> act, CancellationToken stop)
    {
        TimeSpan deadline = steps.Deadline(deployment.App, step, work.Definition);
        using var timer = new CancellationTokenSource(deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, stop);
        try
        {
            return await act(either.Token);
        }
        catch (OperationCanceledException e) when (timer.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            throw new TimeoutException($"{late} (limit {Spoken.Duration(deadline)})", e);
        }
    }

    private DeploymentWork NewWork(string id)
    {
        AppName app = log.State.Find(id)!.App;
        void Tell(string message, TransferProgress transfer)
        {
            if (log.State.Find(id) is { Step: { } step })
                log.Progress(new DeploymentEvent.Progress(Now, id, step, message, transfer.Done, transfer.Total));
        }
        return new DeploymentWork(
            () => log.State.App(app),
            new Sink<TransferProgress>(transfer => Tell("", transfer)),
            new Sink<string>(message => Tell(message, default)));
    }

    private IDisposable? Scope(Deployment deployment, Step step) => logger.DeploymentScope(deployment.App, deployment.Id, deployment.To.Version, step);

    private static string Cancelled(Cancellation cancellation) => $"cancelled by {cancellation.By}";

    private static string Describe(Exception e) => e is OperatorException or GateException or HookException or IOException or TimeoutException
        ? e.Message
        : $"{e.GetType().Name}: {e.Message}";

    /// <summary>In order and at once, unlike <see cref="Progress{T}"/>.</summary>
    private sealed class Sink<T>(Action<T> take) : IProgress<T>
    {
        public void Report(T value) => take(value);
    }
}
