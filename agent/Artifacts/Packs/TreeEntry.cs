namespace Agent.Artifacts.Packs;

/// <summary>One entry of a tree to be published.</summary>
/// <param name="Path">As in the manifest.</param>
internal abstract record TreeEntry(string Path);

/// <summary>An empty directory.</summary>
internal sealed record TreeDirectory(string Path) : TreeEntry(Path);

internal sealed record TreeLink(string Path, string Target) : TreeEntry(Path);

/// <param name="Open">Opens the content anew, each time it is called.</param>
internal sealed record TreeFile(string Path, bool Executable, long Size, Digest Sha256, Func<Stream> Open) : TreeEntry(Path);
