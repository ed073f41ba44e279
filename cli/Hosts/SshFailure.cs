using Agent.Artifacts;
using Agent.Cli.Rendering;

namespace Agent.Cli.Hosts;

/// <summary>Why ssh ended before there was a connection to the agent; whoever tells it says of which host. Sources: the texts of OpenSSH 8 and 9, ssh(1), "EXIT STATUS".</summary>
internal static class SshFailure
{
    private const int Itself = 255, NotFound = 127, NotRunnable = 126;

    private const int MostSaid = 300;

    private const string Agentctl = "agentctl there";

    private static readonly (Cause Cause, string[] Texts)[] Causes =
    [
        (Cause.KeyChanged, ["REMOTE HOST IDENTIFICATION HAS CHANGED", "has changed and you have requested strict checking"]),
        (Cause.KeyUnknown, ["Host key verification failed", "host key is known for"]),
        (Cause.Denied, ["Permission denied (", "Too many authentication failures"]),
        (Cause.NameUnknown, ["Could not resolve hostname", "Name or service not known", "Temporary failure in name resolution"]),
        (Cause.NothingListens, ["Connection refused"]),
        (Cause.NoWay, ["timed out", "No route to host", "Network is unreachable", "administratively prohibited"]),
        (Cause.Dropped, ["kex_exchange_identification", "Connection reset by", "Connection closed by", "Broken pipe"]),
    ];

    private enum Cause
    {
        Other,
        KeyChanged,
        KeyUnknown,
        Denied,
        NameUnknown,
        NothingListens,
        NoWay,
        Dropped,
    }

    /// <param name="exit">The command's exit status there; 255: ssh itself failed.</param>
    /// <param name="errors">What came on stderr. Not trusted.</param>
    /// <param name="ran">What was run.</param>
    public static OperatorException Explain(int exit, string errors, HostAddress.Ssh address, string ran = Agentctl)
    {
        string ssh = Command(address);
        if (DialStdio.Error(errors) is { } told) return new OperatorException(told.Code, told.What, Remedy(told.Code, told.Remedy, ssh));
        return exit switch
        {
            Itself => OfSsh(errors, address, ssh),
            NotFound or NotRunnable when ran == Agentctl => Unreachable("there is no agentctl there that ssh finds", $"install the agent there: agentctl host bootstrap {address} --package FILE.deb; where it is installed, look at PATH: {ssh} 'echo $PATH'"),
            (int)ExitCode.Usage when ran == Agentctl => Unreachable("agentctl there is too old to be asked over ssh", $"upgrade it: agentctl host bootstrap {address} --package FILE.deb; until then, ask it there: {ssh}"),
            _ => Unreachable($"{ran} ended with exit status {exit}{Quoted(errors)}", $"see what it says: {ssh}"),
        };
    }

    public static OperatorException Silent(TimeSpan waited, HostAddress.Ssh address) => Unreachable(
        $"ssh came to nothing within {waited.TotalSeconds:0} s", $"see where it hangs: {Command(address)} -v");

    public static OperatorException Noisy(HostAddress.Ssh address) => Unreachable(
        "the shell there prints without end before a command runs", $"see what it says, and make the shell's start files keep quiet where there is no terminal: {Command(address)} true");

    /// <summary>For a person to type.</summary>
    public static string Command(HostAddress.Ssh address) =>
        $"ssh {(address.Port is { } port ? $"-p {port} " : "")}{(address.User is { } user ? $"{user}@" : "")}{address.Host}";

    /// <summary>Whether sshd, there or on a jump host, dropped the connection before anybody had logged in, as it does when too many come at once.</summary>
    public static bool IsDropped(int exit, string errors) => exit == Itself && CauseOf(errors) == Cause.Dropped;

    // What is told of a jump host comes before what becomes of the connection through it.
    private static Cause CauseOf(string errors) =>
        Causes.FirstOrDefault(known => known.Texts.Any(text => errors.Contains(text, StringComparison.OrdinalIgnoreCase))).Cause;

    private static OperatorException OfSsh(string errors, HostAddress.Ssh address, string ssh)
    {
        Cause cause = CauseOf(errors);
        string said = Quoted(errors, Causes.FirstOrDefault(known => known.Cause == cause).Texts ?? []);
        return cause switch
        {
            Cause.KeyChanged => Refused("it shows another host key than the one that ssh knows: either it was installed anew, or somebody else answers in its place",
                $"find out which. Only where it was installed anew: ssh-keygen -R {Known(address)}, then {ssh}, and compare the fingerprint"),
            Cause.KeyUnknown => Refused("ssh does not know its host key yet",
                $"{ssh}, compare the fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), and answer yes"),
            Cause.Denied => Refused($"it does not let you in{said}",
                $"see which keys are offered: ssh-add -l, {ssh} -v; one of them has to be in ~/.ssh/authorized_keys there, or the user has to be another one"),
            Cause.NameUnknown => Unreachable($"nobody knows its address{said}", $"look for a typing error in {address}, or give it a HostName in ~/.ssh/config"),
            Cause.NothingListens => Unreachable($"nothing there answers to ssh{said}", $"see that sshd runs there, and on which port: {ssh} -v"),
            Cause.NoWay => Unreachable($"it cannot be reached{said}", $"see that it is up and that the network leads there: {ssh} -v"),
            Cause.Dropped => Unreachable($"the connection was dropped before ssh had logged in{said}",
                $"{ssh} -v; where many connect at once, sshd's MaxStartups there or on the jump host is too low"),
            _ => Unreachable($"ssh failed{said}", $"see what it says: {ssh} -v"),
        };
    }

    // Who was let into a group has to log in again, which a shared connection puts off.
    private static string Remedy(ExitCode code, string remedy, string ssh) => code == ExitCode.Refused
        ? $"there: sudo usermod -aG agentd USER (agentd-viewer only looks); then, where ssh shares connections: {ssh} -O exit"
        : $"there: {remedy}";

    private static string Known(HostAddress.Ssh address) => address.Port is { } port ? $"'[{address.Host}]:{port}'" : address.Host;

    private static OperatorException Refused(string what, string remedy) => new(ExitCode.Refused, what, remedy);

    private static OperatorException Unreachable(string what, string remedy) => new(ExitCode.Unreachable, what, remedy);

    /// <returns>The line that tells most: the first one with one of the texts, else the last one; in front a colon.</returns>
    private static string Quoted(string errors, params ReadOnlySpan<string> texts)
    {
        string[] lines = errors.Split(['\n', '\r'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (lines.Length == 0) return "";
        string best = lines[^1];
        foreach (string text in texts)
        {
            if (lines.FirstOrDefault(line => line.Contains(text, StringComparison.OrdinalIgnoreCase)) is not { } line) continue;
            best = line;
            break;
        }
        best = Terminal.Clean(best).TrimEnd('.');
        return $": {(best.Length > MostSaid ? best[..MostSaid] : best)}";
    }
}
