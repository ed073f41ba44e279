using System.Text;

namespace Agent.Cli.Rendering;

/// <summary>Hands on what is written, a line at a time.</summary>
/// <param name="take">Gets each line without its end, when it has ended.</param>
internal sealed class LineWriter(Action<string> take) : TextWriter
{
    private readonly StringBuilder line = new();

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value)
    {
        if (value != '\n') line.Append(value);
        else
        {
            string whole = line.ToString();
            line.Clear();
            take(whole);
        }
    }

    public override void Write(string? value)
    {
        foreach (char c in value ?? "") Write(c);
    }

    public override void Write(ReadOnlySpan<char> buffer)
    {
        foreach (char c in buffer) Write(c);
    }

    public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

    public override void WriteLine() => Write('\n');

    /// <summary>The rest, where the last line did not end.</summary>
    public void End()
    {
        if (line.Length > 0) Write('\n');
    }
}
