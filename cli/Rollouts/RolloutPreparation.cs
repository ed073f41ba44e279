using Agent.Artifacts;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>A host as it is before a rollout.</summary>
/// <param name="AgentVersion">Of the agent.</param>
/// <param name="Apps">Null: the agent is too old for rollouts.</param>
internal sealed record HostFacts(string AgentVersion, IReadOnlyList<AppStatus>? Apps);

/// <summary>What is decided before a rollout begins.</summary>
/// <param name="Taking">Names of the hosts that take part; none: there is nothing to do.</param>
/// <param name="Skipped">Those that do not, each with the reason: <c>web3: unreachable</c>.</param>
internal sealed record RolloutPreparation(string App, IReadOnlyList<string> Taking, IReadOnlyList<string> Skipped)
{
    /// <param name="app">Empty: the only one of each host, the same on all.</param>
    /// <param name="version">Empty: none in particular.</param>
    /// <param name="again">Also where it runs already.</param>
    /// <param name="pushed">Digest of the build that was pushed, <c>sha256:...</c>: another one of the same version is another release. Empty: from the store.</param>
    /// <exception cref="OperatorException">A host cannot take part, and it was not said that it may stay behind: every such host is told.</exception>
    public static RolloutPreparation Of(IReadOnlyList<HostSaid<HostFacts>> said, string app, string version, bool again, bool skipUnreachable, string pushed = "")
    {
        HostSaid<HostFacts>[] lost = [.. said.Where(host => host.Lost)];
        if (lost.Length > 0 && !skipUnreachable)
            throw Cannot(ExitCode.Unreachable, lost.Select(host => $"{host.Host} cannot be reached: {host.Error!.Message}"), "mend that, or leave them out with --skip-unreachable");
        if (lost.Length == said.Count) throw Cannot(ExitCode.Unreachable, lost.Select(host => $"{host.Host} cannot be reached: {host.Error!.Message}"), lost[0].Error!.Remedy);
        HostSaid<HostFacts>[] no = [.. said.Where(host => host is { Error: not null, Lost: false })];
        if (no.Length > 0) throw Cannot(no[0].Error!.Code, no.Select(host => $"{host.Host}: {host.Error!.Message}"), no[0].Error!.Remedy);
        HostSaid<HostFacts>[] there = [.. said.Where(host => host.Answer is not null)];
        HostSaid<HostFacts>[] old = [.. there.Where(host => host.Answer!.Apps is null)];
        if (old.Length > 0)
        {
            throw Cannot(ExitCode.Refused, old.Select(host => $"{host.Host} runs agentd {host.Answer!.AgentVersion}, which knows no rollouts"),
                $"update agentd there, or deploy to it alone: agentctl deploy {version} --host {old[0].Host}");
        }
        string name = app.Length > 0 ? app : OnlyApp(there);
        AppStatus StatusOf(HostSaid<HostFacts> host) => host.Answer!.Apps!.Single(status => status.App == name);
        bool Runs(HostSaid<HostFacts> host) =>
            !again && version.Length > 0 && StatusOf(host) is { Running: null, Attention.Length: 0 } status && status.Version == version && (pushed.Length == 0 || pushed == $"sha256:{status.Digest}");
        return new RolloutPreparation(
            name,
            [.. there.Where(host => !Runs(host)).Select(host => host.Host)],
            [.. said.Where(host => host.Lost || Runs(host)).Select(host => host.Lost ? $"{host.Host}: unreachable" : $"{host.Host}: runs {version} already")]);
    }

    private static string OnlyApp(IEnumerable<HostSaid<HostFacts>> hosts)
    {
        string[] all = [.. hosts.SelectMany(host => host.Answer!.Apps!).Select(status => status.App).Distinct()];
        return all switch
        {
            [var only] when hosts.All(host => host.Answer!.Apps!.Count == 1) => only,
            [] => throw Cannot(ExitCode.Usage, ["there is no app on these hosts"], "agentctl status --host all"),
            _ => throw Cannot(ExitCode.Usage, [$"which app? There are {string.Join(", ", all)}"], $"name one: --app {all[0]}"),
        };
    }

    private static OperatorException Cannot(ExitCode code, IEnumerable<string> why, string remedy)
    {
        string[] all = [.. why];
        string more = all.Length > 10 ? $"\nand {all.Length - 10} more" : "";
        return new OperatorException(code, $"nothing has begun: {string.Join('\n', all.Take(10))}{more}", remedy);
    }
}
