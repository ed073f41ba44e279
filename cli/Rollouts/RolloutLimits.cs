using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Agent.Cli.Hosts;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Cli.Rollouts;

/// <summary>A number of hosts (<c>2</c>), or a share of all (<c>25%</c>).</summary>
internal readonly record struct Share(int Number, bool IsPercent)
{
    public static bool TryParse(string text, [NotNullWhen(true)] out Share? share)
    {
        bool isPercent = text.EndsWith('%');
        share = int.TryParse(isPercent ? text[..^1] : text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= 1 && number <= (isPercent ? 100 : 1000)
            ? new Share(number, isPercent)
            : null;
        return share is not null;
    }

    /// <summary>Rounded down, but one at least.</summary>
    public int Of(int all) => IsPercent ? Math.Max(1, all * Number / 100) : Number;
}

/// <summary>Which hosts go first.</summary>
internal enum HostOrder
{
    /// <summary>As the files list them.</summary>
    Listed,
    Reversed,
    Random,
}

/// <summary>How a rollout goes.</summary>
internal sealed record RolloutLimits
{
    /// <summary>Hosts that go together.</summary>
    public Share Batch { get; init; } = new(1, false);

    /// <summary>Hosts that go first and alone; 0: none.</summary>
    public int Canary { get; init; }

    /// <summary>How long the canary must stay healthy.</summary>
    public TimeSpan Soak { get; init; }

    /// <summary>Null: as many as the largest batch has.</summary>
    public Share? MaxUnavailable { get; init; }

    /// <summary>Between batches; what is live must stay healthy meanwhile.</summary>
    public TimeSpan Pause { get; init; }

    public int MaxFailures { get; init; } = 1;

    public bool RollbackAll { get; init; }

    public HostOrder Order { get; init; }

    /// <param name="hosts">Those that take part, as the files list them.</param>
    /// <param name="skipped">Those that do not, each with the reason.</param>
    public RolloutPlan Plan(string version, IEnumerable<HostEntry> hosts, IEnumerable<string> skipped)
    {
        HostEntry[] all = [.. hosts];
        switch (Order)
        {
            case HostOrder.Reversed: Array.Reverse(all); break;
            case HostOrder.Random: Random.Shared.Shuffle(all); break;
        }
        var plan = new RolloutPlan
        {
            Version = version,
            Soak = Canary > 0 && Soak > TimeSpan.Zero ? Duration.FromTimeSpan(Soak) : null,
            Pause = Pause > TimeSpan.Zero ? Duration.FromTimeSpan(Pause) : null,
            MaxFailures = MaxFailures,
            RollbackAll = RollbackAll,
            MaxUnavailable = MaxUnavailable?.Of(all.Length) ?? 0,
            Skipped = { skipped },
        };
        IEnumerable<HostEntry[]> batches = all.Skip(Canary).Chunk(Batch.Of(all.Length));
        if (Canary > 0) batches = batches.Prepend([.. all.Take(Canary)]);
        foreach (HostEntry[] batch in batches)
            plan.Batches.Add(new RolloutBatch { Hosts = { batch.Select(host => new RolloutHost { Name = host.Name, Address = host.Address.ToString() }) } });
        return plan;
    }
}
