namespace Agent.Daemon.Migrations;

/// <summary>Takes what long work tells on its way: lines for people, and how far a transfer is.</summary>
internal interface IWorkProgress : IProgress<string>
{
    /// <param name="what"><c>dumping shop</c>.</param>
    /// <param name="done">Bytes.</param>
    /// <param name="total">An estimate, never below <paramref name="done"/>.</param>
    void Report(string what, long done, long total);
}

/// <summary>Tells transfers in words, where only lines are taken.</summary>
internal sealed class InWords(IProgress<string> lines) : IWorkProgress
{
    public void Report(string value) => lines.Report(value);

    public void Report(string what, long done, long total) => lines.Report($"{what}: {done / 1_000_000} of about {total / 1_000_000} MB");
}

/// <summary>A transfer under way, told at each hundredth, and no oftener than at each MiB.</summary>
internal sealed class Transfer(IWorkProgress progress, string what, long total)
{
    private long told;

    /// <param name="done">Bytes until now.</param>
    public void Reach(long done)
    {
        if (done - told < Math.Max(total / 100, 1 << 20)) return;
        told = done;
        progress.Report(what, done, Math.Max(done, total));
    }
}
