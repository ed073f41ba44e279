using System.Text.Json;
using Agent.Artifacts;

namespace Agent.Cli.Rendering;

/// <summary>What a verb said on one host, to be shown in its turn.</summary>
internal sealed class Recording
{
    private const string Indent = "  ";

    private readonly List<(bool Error, string Line)> lines = [];

    /// <summary>What ended it; null: nothing did.</summary>
    public OperatorException? Error { get; set; }

    public bool IsEmpty => lines.Count == 0;

    public IEnumerable<string> Output => lines.Where(line => !line.Error).Select(line => line.Line);

    /// <param name="shown">Where it will be shown.</param>
    public Terminal Terminal(Terminal shown) => shown.With(new LineWriter(line => lines.Add((false, line))), new LineWriter(line => lines.Add((true, line))), Indent.Length);

    /// <param name="width">Of the longest name.</param>
    public void Show(Terminal terminal, string name, int width)
    {
        if (lines is [(false, var only)])
        {
            terminal.Write(new Piece(name.PadRight(width), Tone.Strong), Indent);
            terminal.Raw(only);
            return;
        }
        if (lines.Count > 0) terminal.Line(new Piece(name, Tone.Strong));
        foreach ((bool error, string line) in lines)
        {
            if (error) terminal.RawError(Indent + line);
            else terminal.Raw(line.Length > 0 ? Indent + line : "");
        }
    }

    /// <summary>The document that was written; null where there was none.</summary>
    public void WriteTo(Utf8JsonWriter writer)
    {
        string text = string.Join('\n', Output);
        if (text.Length == 0)
        {
            writer.WriteNullValue();
            return;
        }
        using JsonDocument document = JsonDocument.Parse(text);
        document.RootElement.WriteTo(writer);
    }
}
