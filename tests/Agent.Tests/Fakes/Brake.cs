using Agent.Daemon.State;

namespace Agent.Tests.Fakes;

/// <summary>Stops a deployment inside of one step, until it is let go on.</summary>
internal sealed class Brake
{
    private Step? at;
    private TaskCompletionSource<string> reached = New<string>();
    private TaskCompletionSource<bool> released = New<bool>();

    public Task<string> SetAsync(Step step)
    {
        (at, reached, released) = (step, New<string>(), New<bool>());
        return reached.Task;
    }

    public void Release() => released.TrySetResult(true);

    /// <summary>Called where a step's effects are.</summary>
    public async Task PassAsync(Step step, CancellationToken cancellationToken)
    {
        if (at != step) return;
        reached.TrySetResult(step.ToString());
        await released.Task.WaitAsync(cancellationToken);
        at = null;
    }

    private static TaskCompletionSource<T> New<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
