namespace Agent.Daemon.Api;

/// <summary>The store as the last polls found it.</summary>
/// <param name="Description">For people; without credentials.</param>
/// <param name="Error">Of the last poll; null: it went well, or there was none yet.</param>
/// <param name="Stale">Signed metadata has expired: nothing is deployed from it.</param>
/// <param name="Warnings">Roles past half of their life.</param>
internal sealed record StoreHealth(string Description, DateTimeOffset? LastSuccess, string? Error, bool Stale, IReadOnlyList<string> Warnings);
