using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Cli.Rendering;

/// <summary>
/// JSON for programs, as docs/reference/json.md promises: snake_case, nothing left out, null for what is not there,
/// times in UTC (RFC 3339), spans in seconds, sizes in bytes.
/// </summary>
internal static class Json
{
    /// <param name="indented">False: one line, as one of many or on stderr.</param>
    public static string Text(bool indented, Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = indented, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            write(writer);
        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    /// <summary>A result.</summary>
    public static void Document(this Terminal terminal, Action<Utf8JsonWriter> write) => terminal.Raw(Text(true, write));

    /// <summary>One of many results.</summary>
    public static void JsonLine(this Terminal terminal, Action<Utf8JsonWriter> write) => terminal.Raw(Text(false, write));

    /// <summary>Null for the empty text, which is how the API says that there is none.</summary>
    public static void Text(this Utf8JsonWriter writer, string name, string value)
    {
        if (value.Length == 0) writer.WriteNull(name);
        else writer.WriteString(name, value);
    }

    public static void Number(this Utf8JsonWriter writer, string name, long? value)
    {
        if (value is { } number) writer.WriteNumber(name, number);
        else writer.WriteNull(name);
    }

    public static void Time(this Utf8JsonWriter writer, string name, Timestamp? value)
    {
        if (value is null) writer.WriteNull(name);
        else writer.WriteString(name, $"{value.ToDateTimeOffset():yyyy-MM-ddTHH:mm:ss.fffZ}");
    }

    public static void Seconds(this Utf8JsonWriter writer, string name, Duration? value)
    {
        if (value is null) writer.WriteNull(name);
        else writer.WriteNumber(name, Math.Round(value.ToTimeSpan().TotalSeconds, 3));
    }

    /// <param name="value">Null is written as null.</param>
    public static void Object<T>(this Utf8JsonWriter writer, string name, T? value, Action<Utf8JsonWriter, T> fields)
        where T : class
    {
        writer.WritePropertyName(name);
        if (value is null) writer.WriteNullValue();
        else writer.Object(value, fields);
    }

    public static void Object<T>(this Utf8JsonWriter writer, T value, Action<Utf8JsonWriter, T> fields)
    {
        writer.WriteStartObject();
        fields(writer, value);
        writer.WriteEndObject();
    }

    public static void Array<T>(this Utf8JsonWriter writer, string name, IEnumerable<T> items, Action<Utf8JsonWriter, T> fields)
    {
        writer.WriteStartArray(name);
        foreach (T item in items) writer.Object(item, fields);
        writer.WriteEndArray();
    }

    public static void Texts(this Utf8JsonWriter writer, string name, IEnumerable<string> items)
    {
        writer.WriteStartArray(name);
        foreach (string item in items) writer.WriteStringValue(item);
        writer.WriteEndArray();
    }
}
