using System.Text;
using Agent.Artifacts.Trust;

namespace Agent.Tests.Artifacts.Trust;

public class VerificationKeyTests
{
    private const string Message = """{"a":1}""";

    // Ed25519: RFC 8032, 7.1, TEST 3. The others were signed with OpenSSL 3.0 (dgst -sha256 -sign; PSS with a salt as long as the digest).
    private const string Ed25519Key = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
    private const string Ed25519Signature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

    private const string EcdsaKey = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZyJcIaU7Y8RH/oSoZwDEqtznIR/2
        I1U1JyoZsuZLJbof3Db8SSPayGRtaGcBayYXP5L9m+TRLvpND+p868mNww==
        -----END PUBLIC KEY-----
        """;

    private const string EcdsaSignature = "304502202a2e3f3b947287d03c522b7ec20fde1e4dee58772957a269c6968cf52692bbfe022100e602c2d68dd27de0d41462ac641fc0756432b06a59de9f33c8f127fb29742457";

    private const string RsaKey = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2dGMYaPpSkI4OkL6BVCz
        phU0/0RCizDLu7rDdO1XTajCDTBl7Bx6quR6B1OFsRH1mAbof+LjYMRD6yguK9V+
        H1TM6Po1jQQG4MgamSUYzGb3Ey8DA5R69slKBtPtw2sdKXLVODiIV7a3IFDtifKM
        hHcl5LgwhJz+gU7eHzETYnLAmhUlZKg0xcsweaoIHxDCrVkAGrENUa0ZEOVIjfuE
        4GxmNZO0emfohXDRGdtMw8SL2BEePyjkhgDZXwTGHyELfLJJG1KthcQG1LIzKoQt
        8SRJem18p6l0a+h8dllY1SKoL54vciO0vRcwE68jd3Mc0TKY04phZF6ufSzwYwYm
        /QIDAQAB
        -----END PUBLIC KEY-----
        """;

    private const string RsaSignature =
        "d82afa3f842457c69d9685fd72413a5f692c0ca28613083b1b960afef94ac2fe2b82ce33c7f4210f378c889a47aad64a0075bb67d46b7a6b07448e2df0afaa0df5c47acddbcd229c307ca7b843a04fac7548021963a78b04beacf0b0b604e931"
        + "84a0da1b9e81904c527e7b3f25539c07b20e9d262e6fcd7f43087208e88ea52571d32134baf0e03abfa0ce2c6caae6bcc5e61cb5692a1f9089d3bb728e681f52d481713d9ee036d42151254d7539891ca503ecb273610557a236464271359fee"
        + "e99796bb0308d9fca2b708b1c99cf44fc2fa78974871e0641c1a77ee3fd421200b4de9b5f3cb2e47317625f710f360a0bd931dfdd43a9cf0f0e8ecddc39757ca";

    private const string P384Key = """
        -----BEGIN PUBLIC KEY-----
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEtcgJmJ4Olk9EoR49kwQXpMlnFSx6cb7U
        6eXVFs4xsz6gVQJOTEGSZZ0sFOdC4La6lgL2+SxbuKSE/4RVlATYLpwO6Zm/cVL6
        2jtWTqsSscW6u3e+DqpI41QPmLrYsZQk
        -----END PUBLIC KEY-----
        """;

    private const string P384Signature =
        "3065023100ecf28bfeebd27c052988ec8f5fc4e7e3591da669f1a38dc21eb95afef23fbd66a73d36855a2d13da81767b5b7bf653dd02300ecd4efc4695c546660dbb8ff68dc6e3ab164889ab8bdd908c3943f269601f439bcb2bb50dbc4a2857c0e611221ad4ad";

    [Fact]
    public void Verifies_Ed25519_by_the_vector_of_its_RFC()
    {
        var key = new VerificationKey("ed25519", "ed25519", Ed25519Key);
        Assert.True(key.Verify([0xaf, 0x82], Convert.FromHexString(Ed25519Signature)));
        Assert.False(key.Verify([0xaf, 0x83], Convert.FromHexString(Ed25519Signature)));
        Assert.False(new VerificationKey("ed25519", "ed25519", Ed25519Key[2..]).Verify([0xaf, 0x82], Convert.FromHexString(Ed25519Signature)));
    }

    [Theory]
    [InlineData("ecdsa", "ecdsa-sha2-nistp256", EcdsaKey, EcdsaSignature)]
    [InlineData("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", EcdsaKey, EcdsaSignature)]
    [InlineData("rsa", "rsassa-pss-sha256", RsaKey, RsaSignature)]
    public void Verifies_what_OpenSSL_signed(string type, string scheme, string key, string signature)
    {
        Assert.True(new VerificationKey(type, scheme, key).Verify(Encoding.UTF8.GetBytes(Message), Convert.FromHexString(signature)));
        Assert.False(new VerificationKey(type, scheme, key).Verify(Encoding.UTF8.GetBytes(Message + " "), Convert.FromHexString(signature)));
    }

    [Theory]
    [InlineData("ecdsa", "ecdsa-sha2-nistp256", P384Key, P384Signature)]            // another curve than the scheme's
    [InlineData("ecdsa", "ecdsa-sha2-nistp256", RsaKey, RsaSignature)]              // another algorithm than the type's
    [InlineData("rsa", "rsassa-pss-sha256", EcdsaKey, EcdsaSignature)]
    [InlineData("rsa", "rsa-pkcs1v15-sha256", RsaKey, RsaSignature)]                // not of the specification
    [InlineData("ed25519", "ed25519", "not hexadecimal", EcdsaSignature)]
    [InlineData("ecdsa", "ecdsa-sha2-nistp256", "", EcdsaSignature)]
    [InlineData("sphincs", "sphincs-shake-128s", "00", EcdsaSignature)]
    public void A_key_that_does_not_fit_verifies_nothing(string type, string scheme, string key, string signature) =>
        Assert.False(new VerificationKey(type, scheme, key).Verify(Encoding.UTF8.GetBytes(Message), Convert.FromHexString(signature)));
}
