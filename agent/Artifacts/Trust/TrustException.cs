namespace Agent.Artifacts.Trust;

/// <summary>Which check failed; so that a caller can tell a frozen or half-uploaded store from a forged one.</summary>
internal enum TrustFailure
{
    /// <summary>Metadata has expired: nobody renewed it, or somebody keeps the newer from us.</summary>
    Stale,

    /// <summary>A version is lower than one seen before, or a role seen before is gone.</summary>
    Rollback,

    /// <summary>Fewer valid signatures than the delegating role asks for.</summary>
    Signature,

    /// <summary>Longer than the signed length or the cap, or shorter than the signed length.</summary>
    Length,

    /// <summary>Not the content that the signed metadata names.</summary>
    Hash,

    /// <summary>Not metadata, or metadata that contradicts itself or its parent.</summary>
    Malformed,

    /// <summary>The store lacks what its signed metadata lists.</summary>
    Missing,

    /// <summary>The store sent more slowly than the floor allows.</summary>
    Slow,

    /// <summary>This machine's clock is behind what it was.</summary>
    Clock,

    /// <summary>No root, or another root, is pinned here, or the trusted metadata on this disk is damaged.</summary>
    Pinned,
}

/// <summary>
/// A store's content failed a check. <see cref="ExitCode.Refused"/>, or <see cref="ExitCode.Unreachable"/> where the
/// store is rather sick than forged (<see cref="TrustFailure.Missing"/>, <see cref="TrustFailure.Slow"/>).
/// </summary>
internal sealed class TrustException(TrustFailure failure, string what, string remedy, Exception? cause = null)
    : OperatorException(failure is TrustFailure.Missing or TrustFailure.Slow ? ExitCode.Unreachable : ExitCode.Refused, what, remedy, cause)
{
    private const string DistrustStore = "do not use this store until you know who changed it; what runs here was not touched";

    public TrustFailure Failure { get; } = failure;

    public static TrustException Malformed(string file, string why, Exception? cause = null) =>
        new(TrustFailure.Malformed, $"{file} is malformed: {why}", DistrustStore, cause);

    public static TrustException Rollback(string file, string why) =>
        new(TrustFailure.Rollback, $"{file} is a rollback: {why}", DistrustStore);

    public static TrustException Signature(string file, string why) =>
        new(TrustFailure.Signature, $"{file} is not signed by the keys that are trusted for it: {why}", DistrustStore);

    public static TrustException Length(string file, string why) =>
        new(TrustFailure.Length, $"{file} has the wrong length: {why}", "try again; if it stays so, publish to the store again");

    public static TrustException Hash(string file) =>
        new(TrustFailure.Hash, $"{file} does not have the hash that its signed metadata gives", "try again; if it stays so, publish to the store again");

    public static TrustException Stale(string file, DateTimeOffset expires) =>
        new(TrustFailure.Stale, $"{file} expired at {expires:yyyy-MM-dd HH:mm:ss}Z (the store is stale or frozen)", "run 'agentctl store refresh' where the keys are, and check this host's clock");

    public static TrustException Missing(string store, string file) =>
        new(TrustFailure.Missing, $"{store} has no {file}, which its signed metadata names", "try again; if it stays so, publish to the store again");

    public static TrustException Slow(string file) =>
        new(TrustFailure.Slow, $"{file} came too slowly", "check the network and the store, then try again");
}
