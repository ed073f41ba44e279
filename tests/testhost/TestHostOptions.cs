namespace Agent.TestHosts;

/// <summary>How a host differs from a plain one.</summary>
internal sealed record TestHostOptions
{
    public static TestHostOptions Default { get; } = new();

    /// <summary>The network that it shares with other hosts, made with the first of them; null: it has only lo.</summary>
    public string? Network { get; init; }

    /// <summary>Directories and files of the machine that it sees as they are. Everything else it sees, it may change without changing it.</summary>
    public IReadOnlyList<Bind> Binds { get; init; } = [];

    /// <summary>True: it ends with this process, however that ends. False: it stays until it is taken down.</summary>
    public bool Owned { get; init; } = true;
}

/// <param name="From">Absolute, on the machine.</param>
/// <param name="To">Absolute, in the host; made where it is not there.</param>
/// <param name="Writable">False: the host cannot change it.</param>
internal sealed record Bind(string From, string To, bool Writable);
