using Agent.Artifacts;

namespace Agent.Daemon.Api;

/// <summary>What came of a look at the store for one app.</summary>
/// <param name="Latest">What the track points at; null: nothing.</param>
/// <param name="Deployment">Id of the deployment that this started; null: nothing to do.</param>
/// <param name="Message">For people: <c>v1.2.0 is current</c>.</param>
internal sealed record PollAnswer(AppName App, string? Latest, string? Deployment, string Message, OperatorException? Error);

/// <summary>Tracking, as the API needs it.</summary>
internal interface ITracking
{
    StoreHealth Health();

    /// <summary>What the app's track pointed at when it was last seen; null: never.</summary>
    string? Latest(AppName app);

    /// <summary>Looks at the store now.</summary>
    /// <param name="app">Null: all that follow something.</param>
    Task<IReadOnlyList<PollAnswer>> PollAsync(AppName? app, CancellationToken cancellationToken);
}
