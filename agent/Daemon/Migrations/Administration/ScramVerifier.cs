using System.Security.Cryptography;
using System.Text;

namespace Agent.Daemon.Migrations.Administration;

/// <summary>What a server keeps of a password, so that the password itself is in no statement. Source: RFC 5802, 3, and RFC 7677; pg_authid's rolpassword.</summary>
internal static class ScramVerifier
{
    // PostgreSQL's own.
    private const int Iterations = 4096, SaltLength = 16;

    /// <param name="password">ASCII, which SASLprep leaves as it is.</param>
    /// <returns><c>SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY</c>.</returns>
    public static string Of(string password) => Of(password, RandomNumberGenerator.GetBytes(SaltLength), Iterations);

    public static string Of(string password, byte[] salt, int iterations)
    {
        byte[] salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.ASCII.GetBytes(password), salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        byte[] stored = SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8));
        byte[] server = HMACSHA256.HashData(salted, "Server Key"u8);
        return $"SCRAM-SHA-256${iterations}:{Convert.ToBase64String(salt)}${Convert.ToBase64String(stored)}:{Convert.ToBase64String(server)}";
    }
}
