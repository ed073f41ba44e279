using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Daemon.Tracking;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Tests.Tracking;

public sealed class TrackingServiceTests : IDisposable
{
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(60);
    private static readonly OperatorException Gone = new(ExitCode.Unreachable, "the store does not answer", "see the store");

    private readonly ManualTime time = new();
    private readonly Source source = new();
    private readonly Settings settings = new();
    private readonly List<DeploymentRequest> started = [];
    private readonly TrackingService service;
    private AppState state = States.Running("v1.0.0");
    private OperatorException? refusal;

    public TrackingServiceTests()
    {
        service = new TrackingService(
            settings, source,
            (request, _) =>
            {
                started.Add(request);
                return refusal is null ? Task.FromResult(States.Deployment($"d{started.Count}", "v1.1.0", null)) : Task.FromException<Deployment>(refusal);
            },
            _ => state, () => new StoreFreshness(Stale: true, ["timestamp expires in 3 days"]), time, new Random(1), NullLogger<TrackingService>.Instance);
    }

    public void Dispose() => service.Dispose();

    [Fact]
    public async Task A_higher_version_is_deployed_as_it_was_decided_on()
    {
        source.Latest = States.Id("v1.1.0");
        PollResult result = Assert.Single(await service.PollAsync(null, CancellationToken.None));
        Assert.Equal(new DeploymentRequest(States.Shop, new Track.Exactly(new ReleaseVersion("v1.1.0")), Trigger.Track, "tracking", Force: false), Assert.Single(started));
        Assert.Equal(new PollResult(States.Shop, new ReleaseVersion("v1.1.0"), "d1", "deploying v1.1.0", null), result);
        Assert.Equal("v1.1.0", service.Latest(States.Shop)!.Text);
    }

    [Fact]
    public async Task What_is_current_starts_nothing()
    {
        source.Latest = States.Id("v1.0.0");
        PollResult result = Assert.Single(await service.PollAsync(States.Shop, CancellationToken.None));
        Assert.Equal((null, "v1.0.0 is current"), (result.Deployment, result.Message));
        Assert.Empty(started);
    }

    [Fact]
    public async Task A_refusal_of_the_engine_is_in_the_result()
    {
        source.Latest = States.Id("v1.1.0");
        refusal = new OperatorException(ExitCode.Refused, "d9 is under way", "wait");
        PollResult result = Assert.Single(await service.PollAsync(null, CancellationToken.None));
        Assert.Same(refusal, result.Error);
        Assert.Null(service.Health().Error);      // the store is well
    }

    [Fact]
    public async Task Health_tells_the_last_success_and_the_error_since()
    {
        Assert.Equal((null, null), (service.Health().LastSuccess, service.Health().Error));
        await service.PollAsync(null, CancellationToken.None);
        DateTimeOffset success = time.GetUtcNow();
        time.Advance(Poll);
        source.Error = Gone;
        PollResult result = Assert.Single(await service.PollAsync(null, CancellationToken.None));
        Assert.Same(Gone, result.Error);
        StoreHealth health = service.Health();
        Assert.Equal(("https://store.example.com/", success, "the store does not answer", true), (health.Description, health.LastSuccess!.Value, health.Error, health.Stale));
        Assert.Equal(["timestamp expires in 3 days"], health.Warnings);

        source.Error = null;
        await service.PollAsync(null, CancellationToken.None);
        Assert.Null(service.Health().Error);
        Assert.Equal(time.GetUtcNow(), service.Health().LastSuccess);
    }

    [Fact]
    public async Task What_was_seen_last_stays_known_while_the_store_is_away()
    {
        source.Latest = States.Id("v1.0.0");
        await service.PollAsync(null, CancellationToken.None);
        source.Error = Gone;
        await service.PollAsync(null, CancellationToken.None);
        Assert.Equal("v1.0.0", service.Latest(States.Shop)!.Text);
    }

    [Fact]
    public async Task An_app_that_follows_nothing_is_told_when_asked_for_by_name()
    {
        settings.Track = null;
        Assert.Empty(await service.PollAsync(null, CancellationToken.None));
        Assert.StartsWith("shop follows nothing", Assert.Single(await service.PollAsync(States.Shop, CancellationToken.None)).Message, StringComparison.Ordinal);
        Assert.Equal(0, source.Asked);
    }

    [Fact]
    public async Task Without_a_store_a_poll_says_what_to_write()
    {
        settings.Store = null;
        PollResult result = Assert.Single(await service.PollAsync(States.Shop, CancellationToken.None));
        Assert.Equal((ExitCode.Usage, "no store is configured"), (result.Error!.Code, result.Error.Message));
        Assert.Equal("none", service.Health().Description);
    }

    [Fact]
    public async Task One_poll_at_a_time_and_the_second_waits_for_the_first()
    {
        source.Block = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<IReadOnlyList<PollResult>> first = service.PollAsync(null, CancellationToken.None);
        Task<IReadOnlyList<PollResult>> second = service.PollAsync(null, CancellationToken.None);
        Assert.Equal(1, source.Asked);
        source.Block.SetResult();
        await Task.WhenAll(first, second);
        Assert.Equal(2, source.Asked);
    }

    [Fact]
    public async Task A_caller_that_stops_waiting_does_not_block_the_next_poll()
    {
        source.Block = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var cancel = new CancellationTokenSource();
        Task<IReadOnlyList<PollResult>> first = service.PollAsync(null, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        source.Block = null;
        Assert.Single(await service.PollAsync(null, CancellationToken.None));
    }

    [Fact]
    public async Task A_release_that_fails_without_blame_is_tried_again_after_growing_pauses()
    {
        source.Latest = States.Id("v1.1.0");
        var at = new List<double>();
        await service.StartAsync(CancellationToken.None);
        while (time.GetElapsedTime(0) < TimeSpan.FromHours(5))
        {
            await source.AskedAgainAsync();
            await time.NextTimerAsync();
            if (started.Count > at.Count) at.Add(time.GetElapsedTime(0).TotalSeconds);
            time.AdvanceToNext();
        }
        await service.StopAsync(CancellationToken.None);
        double[] pauses = [.. at.Zip(at.Skip(1), (one, next) => next - one)];
        double[] expected = [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600];
        Assert.Equal(expected.Length, pauses.Length);
        Assert.All(expected.Zip(pauses), pair => Assert.InRange(pair.Second, pair.First, pair.First + 60));
    }

    [Fact]
    public async Task The_pause_counts_from_the_end_of_the_deployment()
    {
        source.Latest = States.Id("v1.1.0");
        await service.StartAsync(CancellationToken.None);
        await RoundAsync();
        Assert.Single(started);
        state = state with { Deployments = [States.Deployment("d1", "v1.1.0", null)] };
        for (int i = 0; i < 5; i++) await RoundAsync();
        state = state with { Deployments = [States.Deployment("d1", "v1.1.0", Outcome.Refused)] };
        TimeSpan end = time.GetElapsedTime(0);
        while (started.Count == 1 && time.GetElapsedTime(0) < TimeSpan.FromHours(1)) await RoundAsync();
        Assert.InRange(time.GetElapsedTime(0) - end, Poll, Poll * 2);     // not at once after five intervals under way
        await service.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_poll_by_hand_does_not_wait_for_the_pause()
    {
        source.Latest = States.Id("v1.1.0");
        await service.PollAsync(null, CancellationToken.None);
        await service.PollAsync(null, CancellationToken.None);
        Assert.Equal(2, started.Count);
    }

    [Fact]
    public async Task Polls_at_once_then_within_every_interval()
    {
        await service.StartAsync(CancellationToken.None);
        for (int i = 0; i < 20; i++)
        {
            await source.AskedAgainAsync();
            Assert.InRange(await time.NextTimerAsync(), Poll * 0.8, Poll);
            time.AdvanceToNext();
        }
        await source.AskedAgainAsync();
        await service.StopAsync(CancellationToken.None);
        Assert.Equal(21, source.Asked);
    }

    [Fact]
    public async Task Backs_off_while_the_store_is_away_and_returns_to_the_interval_when_it_is_back()
    {
        source.Error = Gone;
        await service.StartAsync(CancellationToken.None);
        foreach (int polls in (int[])[2, 4, 8, 10, 10])
        {
            await source.AskedAgainAsync();
            Assert.InRange(await time.NextTimerAsync(), Poll * polls * 0.8, Poll * polls);
            time.AdvanceToNext();
        }
        await source.AskedAgainAsync();
        await time.NextTimerAsync();
        source.Error = null;
        time.AdvanceToNext();
        await source.AskedAgainAsync();
        Assert.InRange(await time.NextTimerAsync(), Poll * 0.8, Poll);
        await service.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_bug_in_one_poll_does_not_end_the_polls()
    {
        source.Error = new InvalidOperationException("a bug");
        await service.StartAsync(CancellationToken.None);
        await RoundAsync();
        await RoundAsync();
        await source.AskedAgainAsync();
        await service.StopAsync(CancellationToken.None);
        Assert.Equal(3, source.Asked);
    }

    [Fact]
    public async Task Without_a_store_nothing_is_asked_by_itself()
    {
        settings.Store = null;
        await service.StartAsync(CancellationToken.None);
        await time.NextTimerAsync();
        time.AdvanceToNext();
        await time.NextTimerAsync();
        await service.StopAsync(CancellationToken.None);
        Assert.Equal(0, source.Asked);
    }

    [Theory]
    [InlineData(60, 0, 60)]
    [InlineData(60, 1, 120)]
    [InlineData(60, 3, 480)]
    [InlineData(60, 4, 600)]
    [InlineData(60, 1000, 600)]
    [InlineData(300, 4, 900)]
    [InlineData(3600, 4, 3600)]
    public void The_back_off_is_ten_intervals_and_fifteen_minutes_at_most_and_never_below_the_interval(int interval, int failures, int seconds)
    {
        Assert.Equal(seconds, PollTiming.Next(TimeSpan.FromSeconds(interval), failures, luck: 1).TotalSeconds);
        Assert.Equal(seconds * 0.8, PollTiming.Next(TimeSpan.FromSeconds(interval), failures, luck: 0).TotalSeconds, 0.001);
    }

    /// <summary>Lets one poll of the service by itself happen and moves to the next.</summary>
    private async Task RoundAsync()
    {
        await source.AskedAgainAsync();
        await time.NextTimerAsync();
        time.AdvanceToNext();
    }

    private sealed class Settings : IConfiguration
    {
        public string? Store { get; set; } = "https://store.example.com/";

        public Track? Track { get; set; } = new Track.Channel("stable");

        public AgentOptions Agent => AgentFile.Defaults with { Store = Store, Poll = Poll };

        public IReadOnlyList<AppOptions> Apps => [new AppOptions(States.Shop, Track, new Dictionary<string, string>(), null, null, null, 3)];

        public AppOptions App(AppName name) => Apps.Single(app => app.Name == name);

        public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => throw new NotSupportedException();

        public void Check() => throw new NotSupportedException();

        public string Effective(AppName? app, string? releaseYaml) => throw new NotSupportedException();

        public AppDefinition Define(AppName app, string? releaseYaml) => throw new NotSupportedException();
    }

    private sealed class Source : IArtifactSource
    {
        private readonly Channel<int> asked = Channel.CreateUnbounded<int>();

        public ReleaseId? Latest { get; set; }

        public Exception? Error { get; set; }

        public TaskCompletionSource? Block { get; set; }

        public int Asked { get; private set; }

        public async Task AskedAgainAsync() => await asked.Reader.ReadAsync();

        public async Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken)
        {
            asked.Writer.TryWrite(++Asked);
            if (Block is not null) await Block.Task.WaitAsync(cancellationToken);
            return Error is null ? Latest : throw Error;
        }

        public Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public void Sweep(AppName app) => throw new NotSupportedException();
    }
}
