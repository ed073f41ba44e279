using System.Runtime.InteropServices;

namespace Agent.Artifacts.Trust;

/// <summary>Verifies Ed25519 (RFC 8032) through OpenSSL, since .NET's own library has none.</summary>
/// <remarks>Source: EVP_PKEY_new_raw_public_key(3), EVP_DigestVerify(3), EVP_SIGNATURE-ED25519(7) of OpenSSL 3.</remarks>
internal static partial class Ed25519
{
    public const int PublicKeyLength = 32;

    private const int KeyTypeEd25519 = 1087;   // EVP_PKEY_ED25519, <openssl/obj_mac.h>
    private const string Library = "libcrypto.so.3";

    /// <summary>True when the signature is good; false for a bad one, whatever is wrong with it.</summary>
    public static bool Verify(ReadOnlySpan<byte> publicKey, ReadOnlySpan<byte> content, ReadOnlySpan<byte> signature)
    {
        if (publicKey.Length != PublicKeyLength || signature.Length != 64) return false;
        IntPtr key = NewRawPublicKey(KeyTypeEd25519, IntPtr.Zero, publicKey, (nuint)publicKey.Length);
        if (key == IntPtr.Zero) return false;
        IntPtr context = NewContext();
        try
        {
            // EdDSA is one-shot and takes no digest of ours.
            return context != IntPtr.Zero
                && DigestVerifyInit(context, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, key) == 1
                && DigestVerify(context, signature, (nuint)signature.Length, content, (nuint)content.Length) == 1;
        }
        finally
        {
            FreeContext(context);
            FreeKey(key);
            ClearErrors();   // a failure stays queued for the thread, and .NET's own calls would report it as theirs
        }
    }

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_new_raw_public_key")]
    private static partial IntPtr NewRawPublicKey(int type, IntPtr engine, ReadOnlySpan<byte> key, nuint length);

    [LibraryImport(Library, EntryPoint = "EVP_PKEY_free")]
    private static partial void FreeKey(IntPtr key);

    [LibraryImport(Library, EntryPoint = "EVP_MD_CTX_new")]
    private static partial IntPtr NewContext();

    [LibraryImport(Library, EntryPoint = "EVP_MD_CTX_free")]
    private static partial void FreeContext(IntPtr context);

    [LibraryImport(Library, EntryPoint = "EVP_DigestVerifyInit")]
    private static partial int DigestVerifyInit(IntPtr context, IntPtr keyContext, IntPtr digest, IntPtr engine, IntPtr key);

    [LibraryImport(Library, EntryPoint = "EVP_DigestVerify")]
    private static partial int DigestVerify(IntPtr context, ReadOnlySpan<byte> signature, nuint signatureLength, ReadOnlySpan<byte> content, nuint contentLength);

    [LibraryImport(Library, EntryPoint = "ERR_clear_error")]
    private static partial void ClearErrors();
}
