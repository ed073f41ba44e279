using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;
using static Agent.Daemon.State.JournalRecord;

namespace Agent.Daemon.Deployments;

/// <summary>Walks one deployment to its outcome: asks <see cref="DeploymentState"/> what is next, journals, acts, journals.</summary>
internal sealed class DeploymentRunner(DeploymentLog log, DeploymentSteps steps, EvidenceCollector evidence, TimeProvider time, ILogger<DeploymentRunner> logger)
{
    /// <summary>Runs until the outcome, or until <paramref name="until"/> says that the rest may wait.</summary>
    /// <param name="stopping">The agent stops: the deployment is left as it is, for recovery.</param>
    /// <exception cref="OperationCanceledException"><paramref name="stopping"/>.</exception>
    public async Task RunAsync(string id, Func<DeploymentState, bool> until, CancellationToken stopping)
    {
        DeploymentWork work = NewWork(id);
        while (true)
        {
            stopping.ThrowIfCancellationRequested();
            Deployment deployment = log.State.Find(id)!;
            DeploymentState state = DeploymentState.Of(deployment);
            if (until(state)) return;
            switch (state)
            {
                case DeploymentState.Forward s:
                    TryRecord(new StepStarted(Now, id, s.Step), s.Step);
                    break;
                case DeploymentState.Acting s:
                    await DoAsync(deployment, s.Step, work, stopping);
                    break;
                case DeploymentState.Committing:
                    TryRecord(new Committed(Now, id), Step.Gate);
                    break;
                case DeploymentState.Sweeping:
                    log.RecordIfPossible(new StepStarted(Now, id, Step.Sweep));
                    await DoAsync(deployment, Step.Sweep, work, stopping);
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

    private DateTimeOffset Now => time.GetUtcNow();

    private async Task DoAsync(Deployment deployment, Step step, DeploymentWork work, CancellationToken stopping)
    {
        using IDisposable? scope = Scope(deployment, step);
        logger.StepStarts(deployment.App, deployment.To.Version, Name(step), deployment.Id);
        try
        {
            string? detail = await WithDeadlineAsync(
                DeploymentSteps.Deadline(step, work.Definition), $"{Name(step)} took too long", token => steps.DoAsync(deployment, step, work, token), stopping);
            if (step == Step.Sweep) log.RecordIfPossible(new StepDone(Now, deployment.Id, step, detail));
            else TryRecord(new StepDone(Now, deployment.Id, step, detail), step);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            logger.StepFailed(deployment.App, deployment.To.Version, Name(step), deployment.Id, e.Message, e);
            bool blame = step is Step.Restart or Step.Gate && e is GateException or OperatorException { Code: ExitCode.RolledBack };   // not for a masked unit, or a bus that is away
            Evidence? seen = step == Step.Sweep ? null : await evidence.CollectAsync(steps.GenerationTo(deployment), (e as GateException)?.Verdict.Last ?? [], stopping);
            log.RecordIfPossible(new StepFailed(Now, deployment.Id, step, Describe(e), (e as OperatorException)?.Remedy ?? "", blame));
        }
    }

    private async Task UndoAsync(Deployment deployment, Step step, DeploymentWork work, CancellationToken stopping)
    {
        using IDisposable? scope = Scope(deployment, step);
        logger.UndoStarts(deployment.App, deployment.To.Version, Name(step), deployment.Id);
        log.RecordIfPossible(new UndoStarted(Now, deployment.Id, step));
        try
        {
            await WithDeadlineAsync(
                DeploymentSteps.Deadline(step, work.Definition), $"going back over {Name(step)} took too long",
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
            logger.UndoFailed(deployment.App, deployment.To.Version, Name(step), deployment.Id, e.Message, e);
            log.RecordIfPossible(new UndoFailed(Now, deployment.Id, step, Describe(e)));
        }
    }

    private void Conclude(Deployment deployment, DeploymentState.Concluding state)
    {
        bool quarantine = state is { Blame: true, Outcome: Outcome.RolledBack } && deployment.From?.Digest != deployment.To.Digest;
        log.RecordIfPossible(new DeploymentFinished(Now, deployment.Id, state.Outcome, quarantine));
        if (state.Outcome == Outcome.Live) logger.Live(deployment.App, deployment.To.Version, deployment.Id);
        else logger.NotLive(deployment.App, deployment.To.Version, deployment.Id, state.Outcome, log.State.Find(deployment.Id)?.Cause ?? "");
        if (quarantine) logger.Quarantined(deployment.App, deployment.To.Version, deployment.Id);
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

    private async Task<T> WithDeadlineAsync<T>(TimeSpan deadline, string late, Func<CancellationToken, Task<T>> act, CancellationToken stopping)
    {
        using var timer = new CancellationTokenSource(deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, stopping);
        try
        {
            return await act(either.Token);
        }
        catch (OperationCanceledException e) when (timer.IsCancellationRequested)
        {
            throw new TimeoutException($"{late} (limit {deadline.TotalMinutes:0.#} min)", e);
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

    private static string Name(Step step) => step.ToString().ToLowerInvariant();

    private static string Describe(Exception e) => e is OperatorException or GateException or IOException or TimeoutException
        ? e.Message
        : $"{e.GetType().Name}: {e.Message}";

    /// <summary>In order and at once, unlike <see cref="Progress{T}"/>.</summary>
    private sealed class Sink<T>(Action<T> take) : IProgress<T>
    {
        public void Report(T value) => take(value);
    }
}
