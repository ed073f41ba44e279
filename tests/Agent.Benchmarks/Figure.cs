using System.Globalization;
using System.Text.Json;

namespace Agent.Benchmarks;

/// <summary>A figure, its samples and what it should be.</summary>
/// <param name="Unit">Of the samples and the aim: ms, MB, times.</param>
/// <param name="Aim">The median should be at most this; null: told for comparison.</param>
/// <param name="Samples">One or more.</param>
internal sealed record Figure(string Name, string Unit, double? Aim, IReadOnlyList<double> Samples)
{
    public double Median
    {
        get
        {
            double[] sorted = [.. Samples.Order()];
            int middle = sorted.Length / 2;
            return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        }
    }

    public bool Met => Aim is not { } aim || Median <= aim;

    /// <summary>A table for people.</summary>
    public static void WriteTable(IReadOnlyList<Figure> figures, TextWriter writer)
    {
        int width = figures.Max(figure => figure.Name.Length);
        writer.WriteLine($"{"".PadRight(width)}  {"aim",12}  {"median",12}  {"min",9}  {"max",9}  samples");
        foreach (Figure figure in figures)
        {
            string aim = figure.Aim is { } most ? $"<= {Number(most)} {figure.Unit}" : "";
            writer.WriteLine($"{figure.Name.PadRight(width)}  {aim,12}  {$"{Number(figure.Median)} {figure.Unit}",12}  "
                + $"{Number(figure.Samples.Min()),9}  {Number(figure.Samples.Max()),9}  {figure.Samples.Count,7}{(figure.Met ? "" : "  MISSED")}");
        }
    }

    /// <summary>The same for programs: an array of objects.</summary>
    public static void WriteJson(IReadOnlyList<Figure> figures, Stream stream)
    {
        using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        writer.WriteStartArray();
        foreach (Figure figure in figures)
        {
            writer.WriteStartObject();
            writer.WriteString("name", figure.Name);
            writer.WriteString("unit", figure.Unit);
            if (figure.Aim is { } aim) writer.WriteNumber("aim", aim);
            writer.WriteBoolean("met", figure.Met);
            writer.WriteNumber("median", figure.Median);
            writer.WriteStartArray("samples");
            foreach (double sample in figure.Samples) writer.WriteNumberValue(sample);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    private static string Number(double value) => value.ToString(value < 10 ? "0.00" : value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);
}
