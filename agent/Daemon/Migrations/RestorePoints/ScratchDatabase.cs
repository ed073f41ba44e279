namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>A database that a restore point was put into, to try something. Disposing drops it; one that a kill left is dropped before the next is made.</summary>
internal sealed class ScratchDatabase(DatabaseAddress address, RestorePoint point, Func<Task> drop) : IAsyncDisposable
{
    public DatabaseAddress Address => address;

    public RestorePoint Point => point;

    public ValueTask DisposeAsync() => new(drop());
}
