using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>Words for people.</summary>
internal static class Spoken
{
    public static string Duration(TimeSpan value) => value switch
    {
        _ when value < TimeSpan.FromSeconds(1) => $"{value.TotalMilliseconds:0} ms",
        _ when value < TimeSpan.FromMinutes(2) => $"{value.TotalSeconds:0.#} s",
        _ => $"{value.TotalMinutes:0.#} min",
    };

    /// <summary>A text of somebody else in one line of so many characters, without control characters.</summary>
    public static string Line(string text, int atMost)
    {
        string cut = text.Length <= atMost ? text : text[..(atMost - (char.IsHighSurrogate(text[atMost - 2]) ? 2 : 1))] + "…";
        return cut.Any(char.IsControl) ? string.Create(cut.Length, cut, static (to, from) =>
        {
            for (int i = 0; i < to.Length; i++) to[i] = char.IsControl(from[i]) ? ' ' : from[i];
        }) : cut;
    }

    /// <summary>How the main process ended and what systemd makes of it: <c>exit status 1 (exit-code)</c>; empty where neither is known.</summary>
    public static string End(UnitState state)
    {
        string exit = state.ExitKind switch
        {
            "exited" => $"exit status {state.ExitCode}",
            "killed" => $"signal {state.ExitCode}",
            "dumped" => $"signal {state.ExitCode}, core dumped",
            _ => "",
        };
        string result = state.Result is "" or "success" ? "" : exit.Length == 0 ? state.Result : $" ({state.Result})";
        return exit + result;
    }
}
