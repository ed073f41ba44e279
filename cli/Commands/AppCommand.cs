using System.CommandLine;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Cli.Rendering;

namespace Agent.Cli.Commands;

/// <summary><c>app init</c>: the first file of an app on a host.</summary>
internal static partial class AppCommand
{
    private const string Sample = "app-init.yaml";

    public static Verb Create(Verbs verbs) => new("app", "Apps of this host.", "agentctl app init shop --channel stable") { CreateInit(verbs) };

    /// <summary>The sample with everything commented out but what is asked for.</summary>
    /// <param name="channel">Null: the app follows nothing.</param>
    /// <param name="command">Null: the release says what to run.</param>
    public static string Text(AppName name, string? channel, string? command)
    {
        var text = new StringBuilder();
        bool channelWritten = false, commandWritten = false;
        foreach (string line in ReadSample().TrimEnd('\n').Split('\n'))
        {
            string named = SampleName().Replace(line, name.Value);
            if (channel is not null && !channelWritten && IsKey(line, "channel"))
            {
                text.Append("channel: ").Append(Quoted(channel));
                channelWritten = true;
            }
            else if (command is not null && !commandWritten && IsKey(line, "command"))
            {
                text.Append("command: ").Append(Quoted(command));
                commandWritten = true;
            }
            else if (line.Length == 0 || line.StartsWith('#')) text.Append(named);
            else text.Append('#').Append(named);
            text.Append('\n');
        }
        return text.ToString();
    }

    private static Verb CreateInit(Verbs verbs)
    {
        var name = new Argument<string>("NAME") { Description = "the app: a-z, 0-9 and '-', beginning with a letter" };
        var channel = new Option<string?>("--channel") { Description = "the channel to follow; left out: the app runs what it is told", HelpName = "CHANNEL" };
        var command = new Option<string?>("--command") { Description = "what to run: a program of the release and its arguments; left out: as the release says", HelpName = "LINE" };
        var directory = new Option<string>("--directory") { Description = "where to write it", HelpName = "DIR", DefaultValueFactory = _ => "/etc/agentd/apps.d" };
        return verbs.Working(
            new Verb("init", "Writes a commented configuration file for a new app.", "agentctl app init shop --channel stable", "agentctl app init shop --command bin/shop"),
            [name, channel, command, directory],
            (call, _) => Task.FromResult(Init(
                call, new AppName(call.Parsed.GetRequiredValue(name)), call.Parsed.GetValue(channel), call.Parsed.GetValue(command), call.Parsed.GetValue(directory)!)));
    }

    private static int Init(Call call, AppName name, string? channel, string? command, string directory)
    {
        foreach (string? typed in (string?[])[channel, command])
            if (typed is not null && (typed.Trim().Length == 0 || typed.Any(char.IsControl))) throw new OperatorException(ExitCode.Usage, $"'{typed}' is empty, or not one line", "write it in one line");
        directory = Path.GetFullPath(directory);
        if (!Directory.Exists(directory)) throw new OperatorException(ExitCode.Usage, $"there is no directory {directory}", "install agentd first, or name another with --directory");
        string file = Path.Combine(directory, $"{name}.yaml");
        NewFile.Write(file, Encoding.UTF8.GetBytes(Text(name, channel, command)), "edit it, or remove it first");
        if (call.Json) call.Terminal.Document(writer => writer.Object(file, (w, path) => w.WriteString("file", path)));
        else
        {
            call.Terminal.Line($"wrote {file}");
            call.Terminal.Line("next: edit it; then agentctl config check, and sudo systemctl reload agentd");
        }
        return 0;
    }

    private static bool IsKey(string line, string key) => line.StartsWith($"{key}:", StringComparison.Ordinal) || line.StartsWith($"#{key}:", StringComparison.Ordinal);

    // Double quotes of YAML take what those of JSON do (yaml.org/spec/1.2.2, 5.7).
    private static string Quoted(string value) => value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '/' or '.' or '_') && char.IsAsciiLetter(value[0])
        ? value
        : $"\"{JsonEncodedText.Encode(value)}\"";

    [GeneratedRegex(@"\bAPP\b")]
    private static partial Regex SampleName();

    private static string ReadSample()
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Sample) ?? throw new InvalidOperationException($"{Sample} is not in the program");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}

/// <summary>A file that only its owner reads, and that was not there before.</summary>
internal static class NewFile
{
    /// <exception cref="OperatorException">It exists (<see cref="ExitCode.Refused"/>).</exception>
    public static void Write(string path, ReadOnlySpan<byte> content, string remedy)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = DurableOperations.Mode600 };
        FileStream stream;
        try
        {
            stream = new FileStream(path, options);
        }
        catch (IOException e) when (Path.Exists(path))
        {
            throw new OperatorException(ExitCode.Refused, $"{path} exists already", remedy, e);
        }
        try
        {
            using (stream)
            {
                stream.Write(content);
                stream.Flush(flushToDisk: true);
            }
        }
        catch
        {
            File.Delete(path);   // half of it is worse than none
            throw;
        }
    }
}
