using System.Security.Cryptography;

namespace Agent.Artifacts.Trust;

/// <summary>A public key out of signed metadata. A key of an unknown kind is kept and verifies nothing.</summary>
/// <param name="KeyType"><c>ecdsa</c> (or <c>ecdsa-sha2-nistp256</c>), <c>rsa</c>, <c>ed25519</c>.</param>
/// <param name="Scheme"><c>ecdsa-sha2-nistp256</c>, <c>rsassa-pss-sha256</c>, <c>ed25519</c>.</param>
/// <param name="PublicText">PEM (SubjectPublicKeyInfo); for Ed25519 the 32 bytes in hexadecimal.</param>
internal sealed record VerificationKey(string KeyType, string Scheme, string PublicText)
{
    private const string CurveP256 = "1.2.840.10045.3.1.7";

    /// <summary>True when <paramref name="signature"/> is this key's over <paramref name="content"/>; false for anything else.</summary>
    public bool Verify(byte[] content, byte[] signature)
    {
        try
        {
            switch (KeyType, Scheme)
            {
                case ("ecdsa" or "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"):
                    using (var ecdsa = ECDsa.Create())
                    {
                        ecdsa.ImportFromPem(PublicText);
                        return ecdsa.ExportParameters(false).Curve.Oid?.Value == CurveP256
                            && ecdsa.VerifyData(content, signature, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
                    }
                case ("rsa", "rsassa-pss-sha256"):
                    using (var rsa = RSA.Create())
                    {
                        rsa.ImportFromPem(PublicText);
                        return rsa.KeySize is >= 2048 and <= 8192 && rsa.VerifyData(content, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
                    }
                case ("ed25519", "ed25519"):
                    return Ed25519.Verify(Convert.FromHexString(PublicText), content, signature);
                default:
                    return false;
            }
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or FormatException)
        {
            return false;   // the key or the signature is not even one
        }
    }

    /// <summary>The same for two spellings of one key, so that one key under two names counts once.</summary>
    public string Identity
    {
        get
        {
            if (KeyType == "ed25519") return PublicText.ToUpperInvariant();
            return PemEncoding.TryFind(PublicText, out PemFields fields) ? string.Concat(PublicText[fields.Base64Data].Where(c => !char.IsWhiteSpace(c))) : PublicText;
        }
    }
}
