using System.Text.Json;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.V1;

namespace Agent.Cli.Rendering;

/// <summary>Who may call over the network.</summary>
internal static partial class JsonMessages
{
    public static void PairingCode(Utf8JsonWriter writer, CreatePairingCodeResponse made)
    {
        writer.Text("code", made.Code);
        writer.Time("expires", made.Expires);
        writer.Texts("addresses", made.Addresses);
    }

    public static void Paired(Utf8JsonWriter writer, HostAddress address, PairResponse paired)
    {
        writer.Text("address", address.ToString()!);
        writer.Text("name", paired.Name);
        writer.Text("role", paired.Role);
    }

    public static void Renewal(Utf8JsonWriter writer, KeyRenewal.Result result)
    {
        writer.Text("key", result.Key);
        writer.WriteBoolean("changed_over", result.ChangedOver);
        writer.Texts("told", result.Told.Select(address => address.ToString()!));
        writer.Array("failed", result.Failed, (w, failed) =>
        {
            w.Text("address", failed.Address.ToString()!);
            Error(w, failed.Why);
        });
    }

    public static void Client(Utf8JsonWriter writer, Client client)
    {
        writer.Text("name", client.Name);
        writer.Text("role", client.Role);
        writer.Text("key", client.Fingerprint);
        writer.Text("next_key", client.NextFingerprint);
        writer.Time("since", client.Since);
        writer.Text("by", client.By);
        writer.Time("last_call", client.LastCall);
        writer.WriteNumber("connections", client.Connections);
    }

    public static void Identity(Utf8JsonWriter writer, GetIdentityResponse keys)
    {
        writer.Text("key", keys.Fingerprint);
        writer.Text("next_key", keys.NextFingerprint);
    }

    private static void Error(Utf8JsonWriter writer, OperatorException e)
    {
        writer.Text("error", e.Message);
        writer.Text("fix", e.Remedy);
        writer.WriteNumber("exit_code", (int)e.Code);
    }
}
