using State = Agent.V1.Rollout.Types.State;

namespace Agent.Protos;

/// <summary>Words of rollouts that callers and agents share.</summary>
public static class RolloutWords
{
    /// <summary>What a request for the way back adds to the rollout's id.</summary>
    public const string Back = "-back";

    /// <summary>As people read it.</summary>
    public static string Of(State state) => state switch
    {
        State.Running => "running",
        State.Paused => "paused",
        State.Aborted => "aborted",
        State.Finished => "finished",
        State.RollingBack => "rolling back",
        _ => "unknown",
    };
}
