using Agent.Artifacts;
using Agent.Daemon.State;

namespace Agent.Daemon.Configuration;

/// <summary>Reads <c>hooks:</c> of the operator's and the developer's file.</summary>
internal static class HookFile
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(60);

    /// <returns>In the order of the file; each named by its point alone, see <see cref="Join"/>.</returns>
    public static IReadOnlyList<HookOptions> Read(Section file, bool operators)
    {
        var hooks = new List<HookOptions>();
        foreach ((string name, int line, YamlNode value) in file.Pairs("hooks"))
        {
            string path = $"hooks.{name}";
            if (!TryParsePoint(name, out Step step, out bool before))
            {
                file.WrongAt(path, line, "is no point of a deployment", $"write before- or after-, and one of {string.Join(", ", ConfigurationKeys.Steps)}");
                continue;
            }
            if (IsBeforeTheRelease(step, before) && !operators)
            {
                file.WrongAt(path, line, "comes before the release is laid out, and its program with it", "use before-prepare or a later one");
                continue;
            }
            var point = new Point(file, name, step, before, operators);
            if (value is YamlNode.List list)
            {
                foreach ((int index, YamlNode item) in list.Items.Index())
                    if (point.Read($"{path}[{index}]", item.Line, item) is { } hook) hooks.Add(hook);
            }
            else if (point.Read(path, line, value) is { } hook) hooks.Add(hook);
        }
        return hooks;
    }

    /// <summary>All hooks in the order in which they run, at one point the release's before the operator's; each with a name of its own: <c>before-flip</c>, <c>before-flip-2</c>.</summary>
    public static IReadOnlyList<HookOptions> Join(IEnumerable<HookOptions> releases, IEnumerable<HookOptions> operators)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        return [.. releases.Concat(operators).OrderBy(hook => hook.Step).ThenBy(hook => !hook.Before).Select(hook =>
        {
            int count = counts[hook.Name] = counts.GetValueOrDefault(hook.Name) + 1;
            return count == 1 ? hook : hook with { Name = $"{hook.Name}-{count}" };
        })];
    }

    private static bool TryParsePoint(string name, out Step step, out bool before)
    {
        before = name.StartsWith("before-", StringComparison.Ordinal);
        int at = before || name.StartsWith("after-", StringComparison.Ordinal) ? Array.IndexOf(ConfigurationKeys.Steps, name[(name.IndexOf('-', StringComparison.Ordinal) + 1)..]) : -1;
        step = (Step)at;
        return at >= 0;
    }

    private static bool IsBeforeTheRelease(Step step, bool before) => step == Step.Fetch || (step == Step.Stage && before);

    private sealed record Point(Section File, string Name, Step Step, bool Before, bool Operators)
    {
        public HookOptions? Read(string path, int line, YamlNode value)
        {
            if (value is YamlNode.Text { IsNothing: false } text)
                return Command(text.Value, (what, instead) => File.WrongAt(path, line, what, instead)) is { } only ? Hook(only, null, null, null, null) : null;
            if (value is not YamlNode.Map map)
            {
                File.WrongAt(path, line, "is no hook", "write a command, a map with command, or a list of those");
                return null;
            }
            Section section = File.At(path, map, ConfigurationKeys.Hook);
            string? command = section.Text("command") is { } typed ? Command(typed, (what, instead) => section.Wrong("command", what, instead)) : null;
            if (section["command"] is null) File.WrongAt(path, line, "has no command", "write 'command: PROGRAM ARGUMENTS' below it");
            string? user = AppFile.ReadUser(section);
            TimeSpan? timeout = section.Duration("timeout", TimeSpan.FromSeconds(1), TimeSpan.FromHours(1));
            long? memory = section.Size("memory", 1 << 20);
            string? onFailure = section.Choice("on_failure", "undo", "ignore");
            if (Step is Step.Contract or Step.Sweep && onFailure == "undo")
                section.Wrong("on_failure", "is undo, but nothing is undone once the release was kept", "write 'on_failure: ignore', or use after-gate");
            return command is null ? null : Hook(command, user, timeout, memory, onFailure);
        }

        private HookOptions Hook(string command, string? user, TimeSpan? timeout, long? memory, string? onFailure) =>
            new(Name, Step, Before, command, user, timeout ?? DefaultTimeout, memory, MayFail: onFailure == "ignore" || Step is Step.Contract or Step.Sweep);

        private string? Command(string typed, Action<string, string> wrong)
        {
            try
            {
                string command = CommandLine.Check(typed, mayBeAbsolute: Operators);
                if (!IsBeforeTheRelease(Step, Before) || command.StartsWith('/')) return command;
                wrong("names a program of the release, which is not laid out yet", "write an absolute path, or use before-prepare or a later one");
            }
            catch (OperatorException e)
            {
                wrong($"is wrong: {e.Message}", e.Remedy);
            }
            return null;
        }
    }
}
