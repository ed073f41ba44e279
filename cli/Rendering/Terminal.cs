using System.Buffers;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Agent.Cli.Rendering;

/// <summary>How a word looks where colour is wanted.</summary>
internal enum Tone
{
    Plain,
    Good,
    Bad,
    Weak,
    Strong,
}

/// <summary>Text in one tone.</summary>
internal readonly record struct Piece(string Text, Tone Tone = Tone.Plain)
{
    public static implicit operator Piece(string text) => new(text);
}

/// <summary>
/// Where a verb writes: results to stdout, errors and progress to stderr. Colour and progress only where somebody looks.
/// Control characters in what an agent or an application said never reach the terminal.
/// </summary>
internal sealed class Terminal(TextWriter output, TextWriter error, bool outputIsTerminal, bool errorIsTerminal, bool colour)
{
    private static readonly SearchValues<char> Controls = SearchValues.Create(
        [.. Enumerable.Range(0, 32).Where(c => c != '\t').Concat(Enumerable.Range(127, 33)).Select(c => (char)c)]);

    private readonly Lock gate = new();   // progress is reported from any thread
    private int column;
    private bool progressShown;
    private int blockHeight;

    public TextWriter Output => output;

    public TextWriter ErrorOutput => error;

    public bool OutputIsTerminal => outputIsTerminal;

    /// <summary>On stdout.</summary>
    public bool Colour => colour && outputIsTerminal;

    /// <summary>Columns; 80 where nobody knows. Asked only where it matters: .NET reads the terminal's description for it.</summary>
    public Func<int> Width { get; init; } = () => 80;

    /// <summary>Lines; 24 where nobody knows.</summary>
    public Func<int> Height { get; init; } = () => 24;

    /// <summary>Waits for a key of whoever sits there, 0 where they have left; null: nobody does.</summary>
    public Func<char>? Key { get; init; }

    /// <summary>No colour, no progress: as for a pipe.</summary>
    public static Terminal Plain(TextWriter output, TextWriter error) => new(output, error, false, false, false);

    public static Terminal OfProcess()
    {
        bool outputIsTerminal = !Console.IsOutputRedirected, errorIsTerminal = !Console.IsErrorRedirected;
        bool colour = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) && Environment.GetEnvironmentVariable("TERM") != "dumb";
        // Not Console.Out: that prepares the terminal for reading keys, which costs time.
        var output = new StreamWriter(StandardOutput());
        var error = new StreamWriter(Console.OpenStandardError()) { AutoFlush = true };
        return new Terminal(output, error, outputIsTerminal, errorIsTerminal, colour)
        {
            Width = () => Console.WindowWidth is > 0 and var columns ? columns : 80,
            Height = () => Console.WindowHeight is > 0 and var lines ? lines : 24,
            Key = Console.IsInputRedirected || !outputIsTerminal ? null : ReadKey,
        };
    }

    /// <summary>Replaces what could move the cursor or change colours.</summary>
    public static string Clean(string text)
    {
        if (text.AsSpan().IndexOfAny(Controls) < 0) return text;
        var clean = new StringBuilder(text);
        for (int i = 0; i < clean.Length; i++)
        {
            if (Controls.Contains(clean[i])) clean[i] = '?';
        }
        return clean.ToString();
    }

    /// <summary>Part of a line of the result.</summary>
    public void Write(params ReadOnlySpan<Piece> pieces)
    {
        lock (gate)
        {
            Append(pieces);
            output.Flush();
        }
    }

    /// <summary>A line of the result, or the end of one.</summary>
    public void Line(params ReadOnlySpan<Piece> pieces)
    {
        lock (gate)
        {
            Append(pieces);
            output.WriteLine();
            output.Flush();
            column = 0;
        }
    }

    /// <summary>A line of JSON or the like, written as it is.</summary>
    public void Raw(string line)
    {
        lock (gate)
        {
            ClearProgress();
            output.WriteLine(line);
            output.Flush();
        }
    }

    /// <summary>A line on stderr, written as it is.</summary>
    public void RawError(string line)
    {
        lock (gate)
        {
            ClearProgress();
            error.WriteLine(line);
        }
    }

    /// <summary>One whose lines somebody takes, to show them here: with the colours of this one, and without progress.</summary>
    /// <param name="less">Columns that are not for its lines.</param>
    public Terminal With(LineWriter otherOutput, LineWriter otherError, int less = 0) =>
        new(otherOutput, otherError, outputIsTerminal, false, colour) { Width = () => Width() - less };

    /// <summary>A line on stderr.</summary>
    public void ErrorLine(params ReadOnlySpan<Piece> pieces)
    {
        lock (gate)
        {
            ClearProgress();
            foreach (Piece piece in pieces) error.Write(Paint(Clean(piece.Text), piece.Tone, colour && errorIsTerminal));
            error.WriteLine();
        }
    }

    /// <summary>What is going on, behind the cursor until the next output; nothing where stderr is no terminal.</summary>
    public void Progress(string text)
    {
        if (!errorIsTerminal) return;
        lock (gate)
        {
            int room = Width() - (outputIsTerminal ? column : 0) - 1;
            if (room < 8) return;
            text = Clean(text);
            error.Write($"\e7{(text.Length > room ? text[..room] : text)}\e[K\e8");
            error.Flush();
            progressShown = true;
        }
    }

    /// <summary>Lines of the result that are painted over by the next such block, and go with the next other output. Only where stdout is a terminal.</summary>
    public void Block(IReadOnlyList<Piece[]> lines)
    {
        lock (gate)
        {
            ClearBlock();
            int width = Width() - 1;
            foreach (Piece[] line in lines)
            {
                int room = width;
                foreach (Piece piece in line)
                {
                    string text = Clean(piece.Text);
                    if (text.Length > room) text = text[..room];
                    room -= text.Length;
                    output.Write(Paint(text, piece.Tone, Colour));
                }
                output.WriteLine("\e[K");
            }
            output.Flush();
            blockHeight = lines.Count;
        }
    }

    /// <summary>What was painted last stays.</summary>
    public void KeepBlock()
    {
        lock (gate) blockHeight = 0;
    }

    /// <summary>Whether <paramref name="e"/> came from our own output, whose reader went away.</summary>
    public bool IsBroken(IOException e)
    {
        if (e.HResult != 32 && !e.Message.Contains("Broken pipe", StringComparison.Ordinal)) return false;   // EPIPE
        return !outputIsTerminal;
    }

    private static char ReadKey()
    {
        try
        {
            return Console.ReadKey(intercept: true).KeyChar;
        }
        catch (InvalidOperationException)
        {
            return '\0';   // nobody sits there any more
        }
    }

    // A pipe whose reader went away must be an error, so that 'logs -f | head' ends; the console's own stream keeps quiet about it.
    // Not for files: a FileStream would keep a position of its own there, and write over what stderr wrote to the same file.
    private static Stream StandardOutput()
    {
        try
        {
            var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
            if (!stream.CanSeek) return stream;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            // Closed, or of a kind that FileStream does not take.
        }
        return Console.OpenStandardOutput();
    }

    private void Append(ReadOnlySpan<Piece> pieces)
    {
        ClearProgress();
        foreach (Piece piece in pieces)
        {
            string text = Clean(piece.Text);
            output.Write(Paint(text, piece.Tone, Colour));
            column += text.Length;
        }
    }

    private void ClearBlock()
    {
        if (blockHeight > 0) output.Write($"\e[{blockHeight}A\e[J");
        blockHeight = 0;
    }

    private void ClearProgress()
    {
        ClearBlock();
        if (!progressShown) return;
        error.Write("\e[K");
        error.Flush();
        progressShown = false;
    }

    private static string Paint(string text, Tone tone, bool colour) => !colour || tone == Tone.Plain ? text : tone switch
    {
        Tone.Good => $"\e[32m{text}\e[0m",
        Tone.Bad => $"\e[31m{text}\e[0m",
        Tone.Weak => $"\e[2m{text}\e[0m",
        _ => $"\e[1m{text}\e[0m",
    };
}
