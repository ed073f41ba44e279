namespace Agent.Artifacts;

/// <summary>The outcomes that a person or a script sees, as exit status and as gRPC detail.</summary>
internal enum ExitCode
{
    /// <summary>Live, healthy, done.</summary>
    Live = 0,

    /// <summary>The new release was rolled back, or the application is unhealthy.</summary>
    RolledBack = 1,

    /// <summary>The command line or a file that the operator wrote is wrong.</summary>
    Usage = 2,

    /// <summary>Neither the new nor the old release is healthy; the agent does nothing more by itself.</summary>
    NeedsOperator = 3,

    /// <summary>The host, its agent or the store could not be reached.</summary>
    Unreachable = 4,

    /// <summary>Nothing that runs was touched.</summary>
    Refused = 5,
}

/// <summary>The one error type that reaches the operator: what failed and why, and what to do next. Only <see cref="Trust.TrustException"/> refines it.</summary>
/// <param name="code">Becomes the exit status of agentctl and the detail of a gRPC error.</param>
/// <param name="what">What failed and why, without a full stop: <c>shop v1.2.0 is already published with other content</c>.</param>
/// <param name="remedy">An imperative: a command to run or a key to change.</param>
/// <param name="cause">The exception below, where there is one.</param>
internal class OperatorException(ExitCode code, string what, string remedy, Exception? cause = null)
    : Exception(what, cause)
{
    public ExitCode Code { get; } = code;

    public string Remedy { get; } = remedy;
}
