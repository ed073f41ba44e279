using Spectre.Console;

namespace Agent.Cli.Rendering;

/// <summary>Rows under headings: padded columns for a pipe, wrapped to the window on a terminal.</summary>
internal sealed class Table(params string[] headings)
{
    private const string Gap = "  ";

    private readonly List<Piece[]> rows = [];

    /// <param name="cells">One for each heading.</param>
    public void Add(params Piece[] cells) => rows.Add([.. cells.Select(cell => cell with { Text = Terminal.Clean(cell.Text) })]);

    public void Write(Terminal terminal)
    {
        if (terminal.OutputIsTerminal) WriteWrapped(terminal);
        else WritePadded(terminal);
    }

    private void WritePadded(Terminal terminal)
    {
        int[] widths = [.. headings.Select((heading, i) => rows.Select(row => row[i].Text.Length).Append(heading.Length).Max())];
        foreach (string[] cells in rows.Select(row => row.Select(cell => cell.Text).ToArray()).Prepend(headings))
            terminal.Line(string.Join(Gap, cells.Select((cell, i) => cell.PadRight(widths[i]))).TrimEnd());
    }

    private void WriteWrapped(Terminal terminal)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(terminal.Output),
            Ansi = terminal.Colour ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = terminal.Colour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        console.Profile.Width = terminal.Width();
        var grid = new Grid();
        for (int i = 0; i < headings.Length; i++)
            grid.AddColumn(new GridColumn { NoWrap = i < headings.Length - 1, Padding = new Padding(0, 0, i < headings.Length - 1 ? Gap.Length : 0, 0) });
        grid.AddRow([.. headings.Select(heading => new Text(heading, new Style(decoration: Decoration.Bold)))]);
        foreach (Piece[] row in rows) grid.AddRow([.. row.Select(cell => new Text(cell.Text, StyleOf(cell.Tone)))]);
        console.Write(grid);
    }

    private static Style StyleOf(Tone tone) => tone switch
    {
        Tone.Good => new Style(Color.Green),
        Tone.Bad => new Style(Color.Red),
        Tone.Weak => new Style(decoration: Decoration.Dim),
        Tone.Strong => new Style(decoration: Decoration.Bold),
        _ => Style.Plain,
    };
}
