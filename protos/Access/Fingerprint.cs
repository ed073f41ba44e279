using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Agent.Protos.Access;

/// <summary>How a key is named: SHA-256 of its SubjectPublicKeyInfo, <c>sha256:</c> and 64 hexadecimal digits. A certificate is only what carries the key.</summary>
public static class Fingerprint
{
    private const string Prefix = "sha256:";

    public static string Of(X509Certificate2 certificate) => Of(certificate.PublicKey.ExportSubjectPublicKeyInfo());

    /// <param name="subjectPublicKeyInfo">DER: RFC 5280, 4.1.2.7.</param>
    public static string Of(ReadOnlySpan<byte> subjectPublicKeyInfo) => Prefix + Convert.ToHexStringLower(SHA256.HashData(subjectPublicKeyInfo));

    public static bool IsOne(string text) =>
        text.Length == Prefix.Length + 64 && text.StartsWith(Prefix, StringComparison.Ordinal) && text.Skip(Prefix.Length).All(char.IsAsciiHexDigitLower);

    /// <summary>Enough of it for people to tell keys apart: <c>sha256:0123456789abcdef</c>.</summary>
    public static string Abbreviate(string fingerprint) => fingerprint.Length > Prefix.Length + 16 ? fingerprint[..(Prefix.Length + 16)] : fingerprint;
}
