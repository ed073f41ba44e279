namespace Agent.Artifacts.Stores;

/// <summary>Where the objects of a release lie in a store, whatever its medium. Metadata lies below <c>metadata/</c>.</summary>
internal static class StorePath
{
    public static string Blob(Digest digest) => $"blobs/sha256/{digest.Hex}";

    /// <summary>The target in the signed metadata that is a release.</summary>
    public static string ReleaseTarget(AppName app, ReleaseVersion version) => $"{ReleasePrefix(app)}{version.Text}.json";

    public static string ReleasePrefix(AppName app) => $"{app.Value}/releases/";

    public static string ChannelTarget(AppName app, string channel) => $"{ChannelPrefix(app)}{channel}.json";

    public static string ChannelPrefix(AppName app) => $"{app.Value}/channels/";

    /// <summary>Checks a path before it meets a medium: targets' names come from metadata.</summary>
    /// <exception cref="OperatorException">It could name something outside of the store (<see cref="ExitCode.Refused"/>).</exception>
    public static string Checked(string path)
    {
        bool odd = path.Length is 0 or > 1024 || path.Any(char.IsControl) || path.Contains('\\') || path.Split('/').Any(name => name is "" or "." or ".." || name.Length > 255);
        return odd ? throw new OperatorException(ExitCode.Refused, "the store's metadata names an object outside of the store", "do not use this store until you know who changed it") : path;
    }
}
