using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>Which names an app, a user, a group, a process may have.</summary>
internal static partial class Names
{
    // An app's name is also its directory below /var/lib (the agent's own, and those of systemd: systemd.exec(5), StateDirectory=), its
    // unit, and the user that is made for it: one that the system has already would be somebody else's. Source: Debian's and Fedora's
    // base users and groups, and the services that every host has.
    private static readonly HashSet<string> System = new(
        """
        agentd private systemd
        root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup operator adm halt shutdown ftp
        tty disk kmem dialout fax voice cdrom floppy tape sudo wheel audio dip src shadow utmp video sasl plugdev staff users input sgx kvm render
        lock crontab docker libvirt polkitd messagebus dbus sshd ssh tss ntp chrony rtkit avahi landscape lxd syslog rsyslog cron crond getty
        init networking udev modules
        """.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries), StringComparer.Ordinal);

    /// <summary>Longest name of a user.</summary>
    public const int MaximumUser = 31;

    public const string UserRule = "use a-z, 0-9, '_' and '-', beginning with a letter or '_', 31 at most";

    /// <summary>Whether the system, or the agent, has this name for itself.</summary>
    public static bool IsReserved(AppName app) =>
        System.Contains(app.Value) || app.Value.StartsWith("agentd-", StringComparison.Ordinal) || app.Value.StartsWith("systemd-", StringComparison.Ordinal);

    /// <summary>Whether a unit of this name is the agent's own, or one it makes for a moment.</summary>
    public static bool IsOwn(UnitName unit) => unit.Value.StartsWith("agentd.", StringComparison.Ordinal) || unit.Value.StartsWith("agentd-", StringComparison.Ordinal);

    public static bool IsUser(string text) => UserPattern().IsMatch(text);

    public static bool IsGroup(string text) => GroupPattern().IsMatch(text);

    public static bool IsProcess(string text) => ProcessPattern().IsMatch(text);

    public static bool IsChannel(string text) => ChannelPattern().IsMatch(text);

    public static bool IsVariable(string text) => VariablePattern().IsMatch(text);

    /// <summary>Of a systemd credential, which is a file's name.</summary>
    public static bool IsCredential(string text) => CredentialPattern().IsMatch(text);

    public static bool IsHeader(string text) => HeaderPattern().IsMatch(text);

    /// <summary>A path in a release, in its shortest form, that cannot leave it and is not the agent's own <c>.agentd</c>.</summary>
    public static bool IsInside(string path) =>
        path.Length is > 0 and <= 4096 && !path.Any(c => char.IsControl(c) || c == '\\') && path.Split('/').All(part => part is not ("" or "." or ".."))
        && path.Split('/')[0] != ".agentd";

    /// <summary>Whether <paramref name="path"/> is <paramref name="directory"/> or lies in it.</summary>
    public static bool IsAtOrBelow(string path, string directory) => path == directory || path.StartsWith(directory + "/", StringComparison.Ordinal);

    [GeneratedRegex(@"\A[a-z_][a-z0-9_-]{0,30}\z")]
    private static partial Regex UserPattern();

    // Those of a directory service have more characters than those of the host.
    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z0-9_.@-]{0,63}\z")]
    private static partial Regex GroupPattern();

    [GeneratedRegex(@"\A[a-z](-?[a-z0-9]){0,39}\z")]
    private static partial Regex ProcessPattern();

    [GeneratedRegex(@"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,38}[A-Za-z0-9])?\z")]
    private static partial Regex ChannelPattern();

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z0-9_]{0,254}\z")]
    private static partial Regex VariablePattern();

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]
    private static partial Regex CredentialPattern();

    // RFC 9110, 5.6.2: token.
    [GeneratedRegex(@"\A[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\z")]
    private static partial Regex HeaderPattern();
}
