using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Agent.Artifacts.Trust;

/// <summary>A private key: ECDSA over P-256, which .NET's own library has and every client of the specification verifies.</summary>
/// <param name="Purpose">For people and for finding it again: <c>root</c>, <c>online</c>, <c>release shop</c>, <c>promote shop</c>.</param>
/// <param name="Pkcs8">The private key, PKCS#8.</param>
internal sealed record SigningKey(string Purpose, byte[] Pkcs8)
{
    /// <summary>The public half, as metadata lists it.</summary>
    public JsonObject Public { get; } = PublicOf(Pkcs8);

    /// <summary>The name of the key in metadata: SHA-256 of its canonical form, as the field does it; nobody may rely on that.</summary>
    public string KeyId { get; } = Digest.Of(CanonicalJson.Encode(JsonElement.Parse(PublicOf(Pkcs8).ToJsonString()))).Hex;

    public static SigningKey Generate(string purpose)
    {
        using ECDsa ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new SigningKey(purpose, ecdsa.ExportPkcs8PrivateKey());
    }

    /// <summary>A signature over <paramref name="content"/>, DER, in hexadecimal.</summary>
    public string Sign(byte[] content)
    {
        using ECDsa ecdsa = Import(Pkcs8);
        return Convert.ToHexStringLower(ecdsa.SignData(content, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
    }

    /// <summary>Never the key.</summary>
    public override string ToString() => $"{Purpose} {KeyId[..12]}";

    private static JsonObject PublicOf(byte[] pkcs8)
    {
        using ECDsa ecdsa = Import(pkcs8);
        return new JsonObject
        {
            ["keytype"] = "ecdsa",
            ["scheme"] = "ecdsa-sha2-nistp256",
            ["keyval"] = new JsonObject { ["public"] = ecdsa.ExportSubjectPublicKeyInfoPem() + "\n" },
        };
    }

    private static ECDsa Import(byte[] pkcs8)
    {
        ECDsa ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(pkcs8, out _);
        return ecdsa;
    }
}
