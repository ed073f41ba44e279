using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;

namespace Agent.Tests.Configuration;

public class HookFileTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public void Reads_a_command_a_map_and_a_list()
    {
        IReadOnlyList<HookOptions> hooks = Read("""
            hooks:
              before-fetch: /usr/bin/room --for shop
              before-flip: {command: bin/warm, user: web, timeout: 2m, memory: 1GiB, on_failure: ignore}
              after-gate:
                - bin/announce
                - {command: /usr/local/bin/tell, on_failure: undo}
              after-sweep: bin/tidy
            """, operators: true);
        Assert.Equal<HookOptions>(
            [
                new HookOptions("before-fetch", Step.Fetch, true, "/usr/bin/room --for shop", null, Minute, null, false),
                new HookOptions("before-flip", Step.Flip, true, "bin/warm", "web", TimeSpan.FromMinutes(2), 1L << 30, true),
                new HookOptions("after-gate", Step.Gate, false, "bin/announce", null, Minute, null, false),
                new HookOptions("after-gate", Step.Gate, false, "/usr/local/bin/tell", null, Minute, null, false),
                new HookOptions("after-sweep", Step.Sweep, false, "bin/tidy", null, Minute, null, true),
            ],
            hooks);
    }

    [Fact]
    public void Every_step_has_a_point_before_and_after_it()
    {
        string yaml = "hooks:\n" + string.Concat(ConfigurationKeys.Steps.SelectMany(step => (string[])[$"  before-{step}: /bin/a\n", $"  after-{step}: /bin/a\n"]));
        Assert.Equal(
            Enum.GetValues<Step>().SelectMany(step => ((Step, bool)[])[(step, true), (step, false)]),
            Read(yaml, operators: true).Select(hook => (hook.Step, hook.Before)));
    }

    [Fact]
    public void They_stand_in_the_order_in_which_they_run_each_with_a_name_of_its_own()
    {
        IReadOnlyList<HookOptions> releases = Read("hooks: {after-sweep: bin/z, before-flip: [bin/a, bin/b]}", operators: false);
        IReadOnlyList<HookOptions> operators = Read("hooks: {before-flip: /bin/c, after-flip: /bin/d}", operators: true);
        Assert.Equal(
            [("before-flip", "bin/a"), ("before-flip-2", "bin/b"), ("before-flip-3", "/bin/c"), ("after-flip", "/bin/d"), ("after-sweep", "bin/z")],
            HookFile.Join(releases, operators).Select(hook => (hook.Name, hook.Line)));
    }

    [Theory]
    [InlineData(true, "hooks: [a]", "file:1: hooks is not a map")]
    [InlineData(true, "hooks:\n  flip: bin/a", "file:2: hooks.flip is no point of a deployment; write before- or after-, and one of fetch, stage, prepare, backup, migrate, flip, restart, gate, contract, sweep")]
    [InlineData(true, "hooks: {before-: bin/a}", "hooks.before- is no point")]
    [InlineData(true, "hooks: {Before-flip: bin/a}", "is no point")]
    [InlineData(true, "hooks: {before-flip: }", "hooks.before-flip is no hook")]
    [InlineData(true, "hooks: {before-flip: {user: web}}", "hooks.before-flip has no command")]
    [InlineData(true, "hooks: {before-flip: [[bin/a]]}", "hooks.before-flip[0] is no hook")]
    [InlineData(true, "hooks:\n  before-flip:\n    - bin/a\n    - {command: ../a}", "file:4: hooks.before-flip[1].command is wrong: ../a is not a plain path")]
    [InlineData(true, "hooks: {before-flip: {command: bin/a, user: 0}}", "hooks.before-flip.user is '0'")]
    [InlineData(true, "hooks: {before-flip: {command: bin/a, timeout: 2h}}", "hooks.before-flip.timeout is 2h; write 1s to 1h")]
    [InlineData(true, "hooks: {before-flip: {command: bin/a, memory: 1}}", "hooks.before-flip.memory is 1; write 1MiB or more")]
    [InlineData(true, "hooks: {before-flip: {command: bin/a, on_failure: retry}}", "hooks.before-flip.on_failure is 'retry'; write undo or ignore")]
    [InlineData(true, "hooks: {before-flip: {command: bin/a, on-failure: undo}}", "hooks.before-flip.on-failure is not a key here; write on_failure")]
    [InlineData(true, "hooks: {after-sweep: {command: bin/a, on_failure: undo}}", "hooks.after-sweep.on_failure is undo, but nothing is undone once the release was kept")]
    [InlineData(true, "hooks: {before-contract: {command: bin/a, on_failure: undo}}", "hooks.before-contract.on_failure is undo, but nothing is undone once the release was kept")]
    [InlineData(true, "hooks: {before-fetch: bin/a}", "hooks.before-fetch names a program of the release, which is not laid out yet")]
    [InlineData(true, "hooks: {after-fetch: {command: bin/a}}", "hooks.after-fetch.command names a program of the release")]
    [InlineData(true, "hooks: {before-stage: bin/a}", "not laid out yet")]
    [InlineData(false, "hooks: {before-fetch: bin/a}", "hooks.before-fetch comes before the release is laid out")]
    [InlineData(false, "hooks: {before-stage: /bin/a}", "comes before the release is laid out")]
    [InlineData(false, "hooks: {before-flip: /bin/sh}", "hooks.before-flip is wrong: /bin/sh is not inside the release")]
    [InlineData(false, "hooks: {after-gate: {command: /bin/sh}}", "hooks.after-gate.command is wrong: /bin/sh is not inside the release")]
    public void Refuses(bool operators, string yaml, string problem) =>
        Assert.Contains(problem, Assert.Throws<OperatorException>(() => Read(yaml, operators)).Message, StringComparison.Ordinal);

    private static IReadOnlyList<HookOptions> Read(string yaml, bool operators)
    {
        var problems = new Problems();
        IReadOnlyList<HookOptions> hooks = HookFile.Read(new Section(problems, "file", "", Yaml.Read("file", yaml, problems)!, ["hooks"]), operators);
        problems.ThrowIfAny(ExitCode.Usage, "");
        return hooks;
    }
}
