using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>What a unit's state means to a check of it.</summary>
internal static class UnitAnswer
{
    /// <returns>Whether it is active, and its state for people: <c>active (running)</c>, <c>failed (failed), result oom-kill</c>, <c>masked</c>.</returns>
    public static (bool Passed, string Detail) Of(UnitState state)
    {
        if (state.LoadState != "loaded") return (false, state.LoadState);
        bool active = state.ActiveState is "active" or "reloading";
        string detail = $"{state.ActiveState} ({state.SubState})";
        return (active, active || state.Result is "" or "success" ? detail : $"{detail}, result {state.Result}");
    }
}
