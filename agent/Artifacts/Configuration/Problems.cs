namespace Agent.Artifacts.Configuration;

/// <summary>One thing that is wrong in a file.</summary>
/// <param name="File">As the operator knows it: a path, or <c>agent.yaml of the release</c>.</param>
/// <param name="Line">From 1; 0: the file as a whole.</param>
/// <param name="What">The key as typed, and what is wrong with it.</param>
/// <param name="Instead">What to write instead.</param>
internal sealed record Problem(string File, int Line, string What, string Instead)
{
    public override string ToString() => Line > 0 ? $"{File}:{Line}: {What}; {Instead}" : $"{File}: {What}; {Instead}";
}

/// <summary>Everything that is wrong, so that it is told at once and not one thing a run.</summary>
internal sealed class Problems
{
    // A file of somebody else may be wrong in every line; nobody reads more than these.
    private const int Told = 50;

    private readonly List<Problem> found = [];

    public int Count => found.Count;

    public void Add(string file, int line, string what, string instead) => found.Add(new Problem(file, line, what, instead));

    /// <exception cref="OperatorException">Something was found; its text has a line for each problem.</exception>
    public void ThrowIfAny(ExitCode code, string remedy)
    {
        if (found.Count == 0) return;
        string rest = found.Count > Told ? $"\n... and {found.Count - Told} more" : "";
        throw new OperatorException(code, string.Join('\n', found.Take(Told)) + rest, remedy);
    }
}
