using System.Text.Json.Serialization;

namespace Agent.Daemon.Access;

/// <summary>A caller that was paired.</summary>
/// <param name="Name">Its identity in journal and audit.</param>
/// <param name="Fingerprint">Of the key that it calls with.</param>
/// <param name="Role"><c>viewer</c>, <c>deployer</c>, <c>admin</c>.</param>
/// <param name="By">Who let it in.</param>
/// <param name="NextFingerprint">Of the key that takes the other one's place as soon as it calls; null: none does.</param>
/// <param name="LastCall">To some minutes; null: it never called.</param>
internal sealed record Client(string Name, string Fingerprint, string Role, DateTimeOffset Since, string By, string? NextFingerprint = null, DateTimeOffset? LastCall = null)
{
    public bool Has(string fingerprint) => Fingerprint == fingerprint || NextFingerprint == fingerprint;

    /// <summary>Whether both are one caller, whatever its key is: not one that was removed, and another that came by its name.</summary>
    public bool Is(Client other) => Name == other.Name && Since == other.Since;
}

/// <summary><c>clients.json</c>.</summary>
internal sealed record ClientList(IReadOnlyList<Client> Clients);

[JsonSourceGenerationOptions(
    WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(ClientList))]
internal sealed partial class ClientJson : JsonSerializerContext;
