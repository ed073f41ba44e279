namespace Agent.Daemon.Configuration;

internal static partial class CommandLine
{
    public static IReadOnlyList<string> Split(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}

internal static class Template
{
    public static string Fill(string text, IReadOnlyDictionary<string, string> values, string file)
    {
        foreach ((string n, string v) in values) text = text.Replace("${" + n + "}", v, StringComparison.Ordinal);
        return file.Length == 0 ? "" : text;
    }
}
