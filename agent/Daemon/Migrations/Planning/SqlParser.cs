using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>PostgreSQL could not make sense of a text, or it is more than is looked into.</summary>
internal sealed class UnreadableSqlException(string message) : Exception(message);

/// <summary>
/// PostgreSQL's own parser: libpg_query, a C library that runs in this process. What it is given is hostile, so a text is bounded, and it
/// runs on a stack that the deepest tree of such a text does not fill.
/// </summary>
/// <remarks>
/// Source: pg_query.h. The tree is taken as JSON: the numbers of its protobuf form change with each version of PostgreSQL, so that a binding fits one
/// version of the library only, and the generated messages are 100,000 lines. The names in the JSON are those of PostgreSQL's parsenodes.h.
/// </remarks>
internal sealed unsafe class SqlParser
{
    /// <summary>Bytes of a text that is looked into.</summary>
    public const int LongestText = 256 << 10;

    // Two bytes ("+1") make a level of the tree. 16 MiB are enough for 100,000 levels, and 64 MiB for four times that.
    private const int StackSize = 64 << 20;

    // Of JSON; an expression's level is two or three of them. What walks the tree calls itself as often.
    private const int DeepestTree = 1000;

    private readonly delegate* unmanaged[Cdecl]<byte*, ParseResult> parse;
    private readonly delegate* unmanaged[Cdecl]<ParseResult, void> freeParse;
    private readonly delegate* unmanaged[Cdecl]<byte*, BlockResult> parseBlock;
    private readonly delegate* unmanaged[Cdecl]<BlockResult, void> freeBlock;

    private SqlParser(nint library)
    {
        parse = (delegate* unmanaged[Cdecl]<byte*, ParseResult>)NativeLibrary.GetExport(library, "pg_query_parse");
        freeParse = (delegate* unmanaged[Cdecl]<ParseResult, void>)NativeLibrary.GetExport(library, "pg_query_free_parse_result");
        parseBlock = (delegate* unmanaged[Cdecl]<byte*, BlockResult>)NativeLibrary.GetExport(library, "pg_query_parse_plpgsql");
        freeBlock = (delegate* unmanaged[Cdecl]<BlockResult, void>)NativeLibrary.GetExport(library, "pg_query_free_plpgsql_parse_result");
    }

    /// <summary>The library of this host, which stays loaded.</summary>
    /// <returns>Null: there is none, or it is older than PostgreSQL 15's.</returns>
    public static SqlParser? Load() => Load(["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"]);

    /// <param name="directories">Where it may lie, as <c>libpg_query.so.VERSION</c>; Debian's version is that of PostgreSQL and its own.</param>
    public static SqlParser? Load(IEnumerable<string> directories)
    {
        foreach (string path in directories.Where(Directory.Exists).SelectMany(directory => Directory.GetFiles(directory, "libpg_query.so.*").OrderDescending(StringComparer.Ordinal)))
        {
            if (!NativeLibrary.TryLoad(path, out nint library)) continue;
            try
            {
                var parser = new SqlParser(library);
                using JsonDocument tree = parser.Read("SELECT 1");
                if (tree.RootElement.TryGetProperty("version", out JsonElement version) && version.GetInt32() >= 150000) return parser;
            }
            catch (Exception e) when (e is EntryPointNotFoundException or UnreadableSqlException)
            {
                // Another library of that name, or another form of the tree.
            }
        }
        return null;
    }

    /// <summary>The statements of a text.</summary>
    /// <exception cref="UnreadableSqlException">It is no SQL, too long, or nested too deeply.</exception>
    public IReadOnlyList<Syntax> Parse(string sql)
    {
        using JsonDocument tree = Read(sql);
        return [.. new Syntax(tree.RootElement.Clone()).Items("stmts").Select(statement => statement["stmt"])];
    }

    /// <summary>The PL/pgSQL in a DO or CREATE FUNCTION statement.</summary>
    /// <exception cref="UnreadableSqlException">It is none, too long, or nested too deeply.</exception>
    public Syntax ParseBlock(string statement)
    {
        using JsonDocument tree = OnOwnStack(statement, text =>
        {
            BlockResult result = parseBlock(text);
            try
            {
                return Json(result.Tree, result.Error);
            }
            finally
            {
                freeBlock(result);
            }
        });
        return new Syntax(tree.RootElement.Clone());
    }

    private JsonDocument Read(string sql) => OnOwnStack(sql, text =>
    {
        ParseResult result = parse(text);
        try
        {
            return Json(result.Tree, result.Error);
        }
        finally
        {
            freeParse(result);
        }
    });

    private delegate JsonDocument Reading(byte* text);

    private static JsonDocument OnOwnStack(string sql, Reading read)
    {
        if (sql.Contains('\0', StringComparison.Ordinal)) throw new UnreadableSqlException("it holds a zero byte");
        if (Encoding.UTF8.GetByteCount(sql) > LongestText) throw new UnreadableSqlException($"it is longer than {LongestText >> 10} KiB");
        byte[] bytes = [.. Encoding.UTF8.GetBytes(sql), 0];
        JsonDocument? document = null;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                fixed (byte* text = bytes) document = read(text);
            }
            catch (Exception e)
            {
                failure = e;
            }
        }, StackSize)
        { IsBackground = true };
        thread.Start();   // the library frees what it holds for a thread when that ends
        thread.Join();
        if (failure is UnreadableSqlException unreadable) throw new UnreadableSqlException(unreadable.Message);
        return document ?? throw new InvalidOperationException("libpg_query did not answer", failure);
    }

    private static JsonDocument Json(byte* tree, Error* error)
    {
        if (error is not null) throw new UnreadableSqlException(Marshal.PtrToStringUTF8((nint)error->Message) ?? "the parser does not say why");
        try
        {
            ReadOnlySpan<byte> json = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(tree);
            return JsonDocument.Parse(json.ToArray(), new JsonDocumentOptions { MaxDepth = DeepestTree });
        }
        catch (JsonException)
        {
            throw new UnreadableSqlException("it is nested too deeply");
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ParseResult
    {
        public byte* Tree;
        public byte* Messages;
        public Error* Error;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct BlockResult
    {
        public byte* Tree;
        public Error* Error;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Error
    {
        public byte* Message;
        public byte* Function;
        public byte* File;
        public int Line;
        public int Position;
        public byte* Context;
    }
}
