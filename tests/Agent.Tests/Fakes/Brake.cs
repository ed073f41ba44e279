using Agent.Daemon.State;

namespace Agent.Tests.Fakes;

/// <summary>Stops a deployment inside of one step, until it is let go on.</summary>
internal sealed class Brake
{
    private Step? at;
    private TaskCompletionSource<string> reached = New<string>();
    private TaskCompletionSource<bool> released = New<bool>();

    /// <summary>What waits at the step before is let go on to this one.</summary>
    /// <returns>Ends when something waits there.</returns>
    public Task<string> SetAsync(Step step)
    {
        TaskCompletionSource<bool> before = released;
        (at, reached, released) = (step, New<string>(), New<bool>());
        Task<string> reaching = reached.Task;
        before.TrySetResult(true);
        return reaching;
    }

    public void Release() => released.TrySetResult(true);

    /// <summary>Called where a step's effects are.</summary>
    public async Task PassAsync(Step step, CancellationToken cancellationToken)
    {
        if (at != step) return;
        Task<bool> letGo = released.Task;
        reached.TrySetResult(step.ToString());
        await letGo.WaitAsync(cancellationToken);
        if (at == step) at = null;
    }

    private static TaskCompletionSource<T> New<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
