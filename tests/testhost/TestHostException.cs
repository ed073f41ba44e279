namespace Agent.TestHosts;

/// <summary>What went wrong with a throwaway host, and what to do about it.</summary>
/// <param name="code">The exit status of the command: 1 it did not work, 3 this machine lacks something, 4 no such host, or it is not running.</param>
internal sealed class TestHostException(int code, string what, string remedy, Exception? cause = null) : Exception(what, cause)
{
    public const int Failed = 1;
    public const int Missing = 3;
    public const int NoSuchHost = 4;

    public int Code { get; } = code;

    public string Remedy { get; } = remedy;
}
