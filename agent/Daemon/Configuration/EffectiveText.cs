using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Daemon.State;

namespace Agent.Daemon.Configuration;

/// <summary>What is in force, as YAML that people read and that <see cref="AppFile.ReadOperators"/> and <see cref="AgentFile"/> read again; each value says where it comes from.</summary>
internal sealed partial class EffectiveText
{
    private const int Column = 44;
    private const string Default = "default", Hidden = "(not shown)";

    private readonly StringBuilder text = new();

    private EffectiveText() { }

    /// <param name="set">Keys that the file holds, those of maps as <c>roles.viewer</c>.</param>
    public static string Of(AgentOptions agent, IReadOnlySet<string> set)
    {
        string Origin(string key) => set.Contains(key) ? "agentd.yaml" : Default;
        var yaml = new EffectiveText();
        yaml.Remark("What is in force for the agent, and where each value comes from.");
        if (agent.Store is null) yaml.Remark("no store: nothing is followed");
        else yaml.Pair(0, "store", agent.Store, Origin("store"));
        yaml.Pair(0, "poll", Values.Show(agent.Poll), Origin("poll"));
        yaml.Pair(0, "history", Number(agent.History), Origin("history"));
        yaml.Key(0, "roles");
        yaml.List(1, "viewer", agent.Viewers, _ => Origin("roles.viewer"));
        yaml.List(1, "deployer", agent.Deployers, _ => Origin("roles.deployer"));
        yaml.List(1, "admin", agent.Admins, _ => Origin("roles.admin"));
        if (agent.UnsignedPush is { } unsigned)
        {
            yaml.Key(0, "unsigned_push");
            yaml.List(1, "apps", unsigned.Apps, _ => Origin("unsigned_push.apps"));
            yaml.List(1, "by", unsigned.By, _ => Origin("unsigned_push.by"));
        }
        if (agent.Listener is { } listener) yaml.Listen(listener);
        yaml.Pair(0, "releases", agent.Releases, Origin("releases"));
        yaml.Pair(0, "data", agent.Data, Origin("data"));
        yaml.Pair(0, "socket", agent.Socket, Origin("socket"));
        yaml.Pair(0, "units", agent.Units, Origin("units"));
        return yaml.text.ToString();
    }

    /// <param name="secrets">Names in the secrets file; null where it cannot be read or there is none.</param>
    public static string Of(Joined app, IEnumerable<string>? secrets)
    {
        var yaml = new EffectiveText();
        AppName name = app.Operators.Name;
        string ours = $"apps.d/{name}.yaml";
        string Origin(bool operators, bool releases) => operators ? ours : releases ? AppFile.OfRelease : Default;
        AppFile own = app.Operators, none = new(name), theirs = app.Releases ?? none;

        yaml.Remark($"What is in force for {name}, and where each value comes from.");
        yaml.Track(own.Track, ours);
        if (own.MaxVersion is { } highest) yaml.Pair(0, "max_version", highest.Text, ours);
        yaml.Pair(0, "keep", Number(own.Keep ?? AppFile.DefaultKeep), Origin(own.Keep is not null, false));
        yaml.Pair(0, "keep_free", Values.ShowSize(own.KeepFree ?? 0), Origin(own.KeepFree is not null, false));
        yaml.Map("deadlines", own.Deadlines.OrderBy(pair => pair.Key), pair => (ConfigurationKeys.Steps[(int)pair.Key], Values.Show(pair.Value), ours));
        yaml.Map("environment", app.Environment.OrderBy(pair => pair.Key, StringComparer.Ordinal), pair => (pair.Key, pair.Value, Origin(own.Environment.ContainsKey(pair.Key), true)));
        if (app.SecretsFile is { } file)
        {
            yaml.Pair(0, "secrets", file, Origin(own.Secrets is not null, false));
            yaml.Remark(secrets is null ? "it cannot be used: see agentctl config check" : $"names in it, values are not shown: {string.Join(", ", secrets.Order(StringComparer.Ordinal))}");
        }
        if (own.Database is { } database) yaml.Database(database, ours);
        yaml.Map("credentials", own.Credentials.OrderBy(pair => pair.Key, StringComparer.Ordinal), pair => (pair.Key, pair.Value.Path, ours));
        if (app.User is not null || name.Value.Length <= Names.MaximumUser) yaml.Pair(0, "user", app.User ?? name.Value, Origin(own.User is not null, theirs.User is not null));
        yaml.Run(app, ours);
        yaml.Shared(app, ours);
        if (theirs.Templates.Count > 0) yaml.Remark($"templates of the release: {string.Join(", ", theirs.Templates)}");
        yaml.Migrations(app, ours);
        yaml.Hooks(app, ours);
        yaml.Checks(app.Checks, Origin(own.Checks is not null, theirs.Checks is not null));
        yaml.Key(0, "gate");
        yaml.Pair(1, "start", Values.Show(app.Gate.Start), Origin(own.GateStart is not null, theirs.GateStart is not null));
        yaml.Pair(1, "stable", Values.Show(app.Gate.Stable), Origin(own.GateStable is not null, theirs.GateStable is not null));
        yaml.Pair(0, "watch", Values.Show(own.Watch ?? TimeSpan.FromSeconds(10)), Origin(own.Watch is not null, false));
        return yaml.text.ToString();
    }

    private void Listen(ListenerOptions listener)
    {
        const string Origin = "agentd.yaml";
        Key(0, "listen");
        Pair(1, "address", listener.Address.ToString(), Origin);
        if (listener.Certificate is { } certificate) Pair(1, "certificate", certificate, Origin);
        if (listener.Key is { } key) Pair(1, "key", key, Origin);
        if (listener.ClientCa is { } ca) Pair(1, "client_ca", ca, Origin);
        if (listener.ClientRoles.Count > 0) Key(1, "client_roles");
        foreach ((string name, string role) in listener.ClientRoles.OrderBy(pair => pair.Key, StringComparer.Ordinal)) Pair(2, name, role, Origin);
        if (listener.Revoked.Count > 0) List(1, "revoked", listener.Revoked, _ => Origin);
    }

    private void Track(Track? track, string origin)
    {
        if (track is Configuration.Track.Channel channel) Pair(0, "channel", channel.Name, origin);
        else if (track is Configuration.Track.Range range) Pair(0, "versions", range.Versions.ToString(), origin);
        else Remark("nothing is followed: this host runs what it is told");
    }

    private void Run(Joined app, string ours)
    {
        string origin = app.Runs == app.Operators ? ours : AppFile.OfRelease;
        IReadOnlyList<UnitSource> units = app.Units;
        if (units.Count == 0) Remark("nothing says what to run: neither file has command, processes or units");
        UnitSource.Rendered[] rendered = [.. units.OfType<UnitSource.Rendered>()];
        UnitName command = UnitsReader.CommandUnit(app.Operators.Name);
        foreach (UnitSource.Rendered unit in rendered.Where(unit => unit.Name == command))
        {
            Pair(0, "command", unit.Command, origin);
            ProcessSettings own = app.Operators.Settings;
            Settings(0, unit, (isOperators, isSet) => isOperators(own) ? ours : isSet ? origin : Default);
        }
        if (rendered.Any(unit => unit.Name != command)) Key(0, "processes");
        foreach (UnitSource.Rendered unit in rendered.Where(unit => unit.Name != command))
        {
            Key(1, Path.GetFileNameWithoutExtension(unit.Name.Value)[(app.Operators.Name.Value.Length + 1)..]);
            Pair(2, "command", unit.Command, origin);
            if (unit.User is not null && unit.User != app.User) Pair(2, "user", unit.User, origin);
            if (unit.Schedule is not null) Pair(2, "schedule", unit.Schedule, origin);
            Settings(2, unit, (_, isSet) => isSet ? origin : Default);
        }
        if (units.Count == rendered.Length) return;
        Key(0, "units");
        foreach (UnitSource unit in units.Where(unit => unit is not UnitSource.Rendered))
        {
            Line(1, $"- name: {Quote(unit.Name.Value)}", origin);
            Line(2, $"path: {Quote(unit is UnitSource.Shipped shipped ? shipped.Path : ((UnitSource.Operators)unit).Path)}", null);
        }
    }

    private void Settings(int indent, UnitSource.Rendered unit, Func<Func<ProcessSettings, bool>, bool, string> origin)
    {
        if (unit.Schedule is null)
        {
            Pair(indent, "restart", unit.Restart ?? "always", origin(own => own.Restart is not null, unit.Restart is not null));
            Pair(indent, "notify", unit.Notify ? "true" : "false", origin(own => own.Notify is not null, unit.Notify));
        }
        if (unit.Memory is { } memory) Pair(indent, "memory", Values.ShowSize(memory), origin(own => own.Memory is not null, true));
        if (unit.Cpu is { } cpu) Pair(indent, "cpu", $"{cpu}%", origin(own => own.Cpu is not null, true));
        if (unit.Tasks is { } tasks) Pair(indent, "tasks", Number(tasks), origin(own => own.Tasks is not null, true));
        Pair(indent, "stop", Values.Show(unit.Stop ?? TimeSpan.FromSeconds(30)), origin(own => own.Stop is not null, unit.Stop is not null));
        if (unit.Allow is { Count: > 0 } allow) List(indent, "allow", allow, _ => origin(own => own.Allow is not null, true));
    }

    private void Shared(Joined app, string ours)
    {
        if (app.SharedDirectories.Count + app.SharedFiles.Count == 0) return;
        Key(0, "shared");
        if (app.SharedDirectories.Count > 0) List(1, "directories", app.SharedDirectories, path => app.Operators.SharedDirectories.Contains(path) ? ours : AppFile.OfRelease);
        if (app.SharedFiles.Count > 0) List(1, "files", app.SharedFiles, path => app.Operators.SharedFiles.Contains(path) ? ours : AppFile.OfRelease);
    }

    private void Database(DatabaseOptions database, string ours)
    {
        Line(0, "database:", ours);
        Pair(1, "url", database.Url, null);
        if (database.Admin is not null) Pair(1, "admin", database.Admin, null);
        if (database.Environment.Count > 0) Key(1, "environment");
        foreach ((string name, string value) in database.Environment.OrderBy(pair => pair.Key, StringComparer.Ordinal)) Pair(2, name, value, null);
        Pair(1, "lock_timeout", Values.Show(database.LockTimeout), null);
        Pair(1, "lock_retries", Number(database.LockRetries), null);
        if (database.StatementTimeout is { } limit) Pair(1, "statement_timeout", Values.Show(limit), null);
        Pair(1, "wait", Values.Show(database.Wait), null);
        if (database.RestorePoints is not { } points)
        {
            Pair(1, "restore_points", "none", null);
            return;
        }
        Key(1, "restore_points");
        if (points.Directory is not null) Pair(2, "directory", points.Directory, null);
        if (points.Store is not null) Pair(2, "store", points.Store, null);
        Pair(2, "keep", Number(points.Keep), null);
        if (points.MaxAge is { } age) Pair(2, "max_age", Values.Show(age), null);
        if (points.MaxSize is { } size) Pair(2, "max_size", Values.ShowSize(size), null);
        if (points.Command is null) Pair(2, "jobs", Number(points.Jobs), null);
        else Pair(2, "command", points.Command, null);
        if (points.RestoreCommand is not null) Pair(2, "restore_command", points.RestoreCommand, null);
    }

    private void Migrations(Joined app, string ours)
    {
        string origin = app.Operators.Migrations is null ? AppFile.OfRelease : ours;
        if (app.Migrations is not { } migrations)
        {
            if (app.Operators.Migrations is not null) Pair(0, "migrations", "none", ours);
            return;
        }
        Line(0, "migrations:", origin);
        if (migrations.Directory is not null) Pair(1, "directory", migrations.Directory, null);
        if (migrations.Command is null) return;
        Pair(1, "command", migrations.Command, null);
        if (migrations.Files.Count > 0) Key(1, "files");
        foreach (string file in migrations.Files) Line(2, $"- {Quote(file)}", null);
        Pair(1, "phase", migrations.AfterCommit ? "after-commit" : "before", null);
        Pair(1, "timeout", Values.Show(migrations.Timeout), null);
        if (migrations.Memory is { } memory) Pair(1, "memory", Values.ShowSize(memory), null);
        if (migrations.CompatibleWith is { } version) Pair(1, "compatible_with", version.Text, null);
    }

    private void Hooks(Joined app, string ours)
    {
        if (app.Hooks.Count > 0) Key(0, "hooks");
        foreach (IGrouping<(Step Step, bool Before), HookOptions> point in app.Hooks.GroupBy(hook => (hook.Step, hook.Before)))
        {
            int releases = app.Releases?.Hooks.Count(hook => (hook.Step, hook.Before) == point.Key) ?? 0;      // these come first
            Key(1, $"{(point.Key.Before ? "before" : "after")}-{ConfigurationKeys.Steps[(int)point.Key.Step]}");
            foreach ((int index, HookOptions hook) in point.Index())
            {
                Line(2, $"- command: {Quote(hook.Line)}", index < releases ? AppFile.OfRelease : ours);
                if (hook.User is not null) Pair(3, "user", hook.User, null);
                Pair(3, "timeout", Values.Show(hook.Timeout), null);
                if (hook.Memory is { } memory) Pair(3, "memory", Values.ShowSize(memory), null);
                Pair(3, "on_failure", hook.MayFail ? "ignore" : "undo", null);
            }
        }
    }

    private void Checks(IReadOnlyList<CheckOptions> checks, string origin)
    {
        if (checks.Count == 0) Line(0, "checks: []", origin);
        else Key(0, "checks");
        foreach (CheckOptions check in checks)
        {
            Line(1, check switch
            {
                CheckOptions.Http http => $"- http: {Quote(http.Url.ToString())}",
                CheckOptions.Tcp tcp => $"- tcp: {Quote(tcp.Host.Contains(':', StringComparison.Ordinal) ? $"[{tcp.Host}]:{tcp.Port}" : $"{tcp.Host}:{tcp.Port}")}",
                CheckOptions.UnixSocket socket => $"- socket: {Quote(socket.Path)}",
                CheckOptions.Command command => $"- command: {Quote(command.Line)}",
                CheckOptions.UnitActive unit => $"- unit: {Quote(unit.Unit.Value)}",
                _ => throw new NotSupportedException(check.GetType().Name),
            }, origin);
            Pair(2, "name", check.Name, null);
            if (check is CheckOptions.Http asked) Answer(asked);
            Pair(2, "interval", Values.Show(check.Interval), null);
            Pair(2, "timeout", Values.Show(check.Timeout), null);
            Pair(2, "healthy", Number(check.Healthy), null);
            Pair(2, "unhealthy", Number(check.Unhealthy), null);
        }
    }

    private void Answer(CheckOptions.Http http)
    {
        if (http.Socket is not null) Pair(2, "socket", http.Socket, null);
        if (http.Status is { } status) Pair(2, "status", Number(status), null);
        if (http.Body is not null) Pair(2, "body", http.Body, null);
        Headers("headers", http.Headers, value => value);
        Headers("request_headers", http.RequestHeaders, _ => Hidden);       // a token, more often than not
    }

    private void Headers(string key, IReadOnlyDictionary<string, string>? headers, Func<string, string> shown)
    {
        if (headers is not { Count: > 0 }) return;
        Key(2, key);
        foreach ((string name, string value) in headers.OrderBy(pair => pair.Key, StringComparer.OrdinalIgnoreCase)) Pair(3, name, shown(value), null);
    }

    private void Map<T>(string key, IEnumerable<T> items, Func<T, (string Key, string Value, string Origin)> show)
    {
        bool any = false;
        foreach (T item in items)
        {
            if (!any) Key(0, key);
            any = true;
            (string name, string value, string origin) = show(item);
            Pair(1, name, value, origin);
        }
    }

    private void List(int indent, string key, IReadOnlyList<string> items, Func<string, string> origin)
    {
        if (items.Count == 0) Line(indent, $"{key}: []", origin(""));
        else Key(indent, key);
        foreach (string item in items) Line(indent + 1, $"- {Quote(item)}", origin(item));
    }

    private void Remark(string remark) => Line(0, $"# {remark}", null);

    private void Key(int indent, string key) => Line(indent, $"{Quote(key)}:", null);

    private void Pair(int indent, string key, string value, string? origin) => Line(indent, $"{Quote(key)}: {Quote(value)}", origin);

    private void Line(int indent, string content, string? origin)
    {
        string line = new string(' ', indent * 2) + content;
        text.Append(origin is null ? line : $"{line.PadRight(Column)} # {origin}").Append('\n');
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Quote(string value)
    {
        if (PlainPattern().IsMatch(value) && value is not "null") return value;
        var quoted = new StringBuilder("\"");
        foreach (char c in value)
        {
            if (c is '"' or '\\') quoted.Append('\\').Append(c);
            else if (char.IsControl(c) || c is '\u2028' or '\u2029' or '\uFEFF' or '\uFFFE' or '\uFFFF') quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
            else quoted.Append(c);
        }
        return quoted.Append('"').ToString();
    }

    // No blank at an end, no ': ' and no ' #': plain text for YAML.
    [GeneratedRegex(@"\A[A-Za-z0-9/](?:[A-Za-z0-9_./@%+=$-]|:(?=[^ ])| (?=[A-Za-z0-9_./@%+=$-]))*\z")]
    private static partial Regex PlainPattern();
}
