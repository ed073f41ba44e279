using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts.Configuration;
using Agent.Artifacts.Durable;
using Agent.Protos.Access;

namespace Agent.Daemon.Configuration;

/// <summary>Reads <c>listen</c> of agentd.yaml, and the files that it names.</summary>
internal static class ListenerFile
{
    private const int LongestName = 64;   // of a subject: RFC 5280, ub-common-name
    private const long LargestFile = 1 << 20;

    public static ListenerOptions? Read(Section section)
    {
        if (section.Map("listen", ConfigurationKeys.Listen) is not { } listen) return null;
        if (listen["address"] is null) listen.Wrong("address", "is missing", "write 'address: 0.0.0.0:7443', or another address of this host");
        if (listen["certificate"] is null != listen["key"] is null) listen.Wrong(listen["key"] is null ? "certificate" : "key", "is here alone", "write certificate and key, or neither");
        if (listen["client_roles"] is not null && listen["client_ca"] is null) listen.Wrong("client_roles", "is here without client_ca", "name the CA's file, or take the map out");
        var options = new ListenerOptions(Address(listen) ?? new IPEndPoint(IPAddress.Loopback, 0))
        {
            Certificate = File(listen, "certificate"),
            Key = File(listen, "key"),
            ClientCa = File(listen, "client_ca"),
            Revoked = listen.Texts("revoked", text => Fingerprint.IsOne(text) ? null : ($"is '{text}', which is no fingerprint", "write sha256: and 64 hexadecimal digits in lower case")) ?? [],
        };
        return listen["client_roles"] is null ? options : options with { ClientRoles = Roles(listen) };
    }

    /// <summary>The certificate that the agent shows, with its private key, and those between it and its CA.</summary>
    /// <exception cref="CryptographicException">The files do not hold what they should, or do not belong together.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static (X509Certificate2 Certificate, X509Certificate2Collection Others) ReadCertificate(IDisk disk, string certificate, string key)
    {
        X509Certificate2Collection all = ReadCertificates(disk, certificate);
        X509Certificate2 own;
        try
        {
            own = X509Certificate2.CreateFromPem(Text(disk, certificate), Text(disk, key));
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new CryptographicException($"{key} does not hold the key of the first certificate in {certificate}", e);
        }
        all.RemoveAt(0);
        return (own, all);
    }

    /// <inheritdoc cref="ReadCertificate"/>
    public static X509Certificate2Collection ReadCertificates(IDisk disk, string path)
    {
        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPem(Text(disk, path));
        }
        catch (CryptographicException e)
        {
            throw new CryptographicException($"{path} holds what is no certificate in PEM", e);
        }
        return all.Count > 0 ? all : throw new CryptographicException($"{path} holds no certificate in PEM");
    }

    /// <summary>Tells what is wrong in the files that the options name.</summary>
    public static void Check(IDisk disk, ListenerOptions options, string file, Problems problems)
    {
        if (options is { Certificate: { } certificate, Key: { } key })
        {
            Try("listen.certificate", () => ReadCertificate(disk, certificate, key).Certificate.Dispose());
            if (disk.Status(key) is { } status && (status.Mode & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) != 0)
                problems.Add(file, 0, $"listen.key names {key}, which every user may read", $"chmod 600 {key}");
        }
        if (options.ClientCa is { } ca) Try("listen.client_ca", () => ReadCertificates(disk, ca));

        void Try(string name, Action read)
        {
            try
            {
                read();
            }
            catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
            {
                problems.Add(file, 0, $"{name} cannot be used: {e.Message}", "correct the file, or name another");
            }
        }
    }

    private static string Text(IDisk disk, string path)
    {
        using Stream stream = disk.OpenRead(path);
        if (stream.Length > LargestFile) throw new IOException($"{path} is larger than {Values.ShowSize(LargestFile)}");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private static IPEndPoint? Address(Section listen)
    {
        if (listen.Text("address") is not { } text) return null;
        // Without a port, or with more than one colon outside of brackets, the parser would take what was meant otherwise.
        int colon = text.LastIndexOf(':');
        bool bracketed = colon > 0 && (text[colon - 1] == ']' || !text[..colon].Contains(':', StringComparison.Ordinal));
        if (bracketed && IPAddress.TryParse(text.AsSpan(0, colon), out IPAddress? address)
            && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is >= 1024 and <= 65535)
            return new IPEndPoint(address, port);
        listen.Wrong("address", $"is '{text}'", "write an address of this host and a port from 1024 to 65535: 0.0.0.0:7443, [::]:7443");
        return null;
    }

    private static string? File(Section listen, string key)
    {
        if (listen.Text(key) is not { } path) return null;
        if (AgentFile.IsPlainPath(path)) return path;
        listen.Wrong(key, $"is '{path}'", "write an absolute path without '.', '..' and a slash at its end");
        return null;
    }

    private static Dictionary<string, string> Roles(Section listen)
    {
        var roles = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, int line, YamlNode value) in listen.Pairs("client_roles"))
        {
            if (name.Length is 0 or > LongestName || name.Any(char.IsControl)) listen.WrongPair("client_roles", name, line, "is no common name", $"write the CN of the certificate, {LongestName} characters at most");
            else if (value is not YamlNode.Text { Value: var role } || !ConfigurationKeys.Roles.Contains(role)) listen.WrongPair("client_roles", name, line, "has no role", "write viewer, deployer or admin");
            else roles[name] = role;
        }
        return roles;
    }
}
