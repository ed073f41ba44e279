namespace Agent.Tests.Artifacts;

/// <summary>A directory of a test's own, removed at its end.</summary>
internal sealed class Scratch : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("agentd-test-").FullName;

    public string this[string path] => Path.Combine(Root, path);

    public string MakeDirectory(string path) => Directory.CreateDirectory(this[path]).FullName;

    public string Write(string path, string content) => Write(path, System.Text.Encoding.UTF8.GetBytes(content));

    public string Write(string path, byte[] content)
    {
        string full = this[path];
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllBytes(full, content);
        return full;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
