using System.Text.Json;
using Agent.Artifacts;

namespace Agent.Cli.Rendering;

/// <summary>The one form of an error: on stderr, what and what to do; one JSON object for programs.</summary>
internal static class ErrorText
{
    public static void Write(Terminal terminal, OperatorException e, bool json) => Write(terminal, e.Message, e.Remedy, (int)e.Code, json);

    /// <param name="what">Several lines are told as one error each line below the other.</param>
    public static void Write(Terminal terminal, string what, string remedy, int exitCode, bool json)
    {
        if (json)
        {
            terminal.ErrorLine(Json.Text(false, writer =>
            {
                writer.WriteStartObject();
                WriteMembers(writer, what, remedy, exitCode);
                writer.WriteEndObject();
            }));
            return;
        }
        WriteLines(terminal, "error: ", Tone.Bad, what);
        WriteLines(terminal, "fix:   ", Tone.Strong, remedy);
    }

    /// <summary>An error as programs read it, in every document that tells one.</summary>
    public static void WriteMembers(Utf8JsonWriter writer, string what, string remedy, int exitCode)
    {
        writer.WriteString("error", what);
        writer.WriteString("fix", remedy);
        writer.WriteNumber("exit_code", exitCode);
    }

    private static void WriteLines(Terminal terminal, string label, Tone tone, string text)
    {
        foreach (string line in text.Split('\n'))
        {
            terminal.ErrorLine(new Piece(label, tone), line);
            label = "       ";
        }
    }
}
