using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Daemon.State;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Tests.Api;

/// <summary>What callers send of rollouts is hostile until it was looked at.</summary>
public class RolloutMessagesTests
{
    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("../x")]
    [InlineData("a_b")]
    [InlineData("r\n")]
    [InlineData("123456789012345678901234567890123456789012345678901234567890")]
    public void An_id_is_of_letters_digits_and_dashes(string id) => Refused(rollout => rollout.Id = id);

    [Fact]
    public void What_is_not_within_bounds_is_refused()
    {
        Refused(rollout => rollout.Revision = 0);
        Refused(rollout => rollout.State = V1.Rollout.Types.State.Unspecified);
        Refused(rollout => rollout.State = (V1.Rollout.Types.State)99);
        Refused(rollout => rollout.Started = null);
        Refused(rollout => rollout.Started = new Timestamp { Seconds = long.MaxValue });
        Refused(rollout => rollout.Plan = null);
        Refused(rollout => rollout.Plan.Version = "");
        Refused(rollout => rollout.Plan.Version = "../../etc");
        Refused(rollout => rollout.Plan.Batches.Clear());
        Refused(rollout => rollout.Plan.Batches.Add(new V1.RolloutBatch()));
        Refused(rollout => rollout.Plan.Batches[0].Hosts.Add(rollout.Plan.Batches[0].Hosts[0]));
        Refused(rollout => rollout.Plan.Batches[0].Hosts[0].Name = "\e[2J");
        Refused(rollout => rollout.Plan.Batches[0].Hosts[0].Address = new string('x', 201));
        Refused(rollout => rollout.Plan.Soak = new Duration { Seconds = -1 });
        Refused(rollout => rollout.Plan.Pause = Duration.FromTimeSpan(TimeSpan.FromDays(8)));
        Refused(rollout => rollout.Plan.MaxFailures = -1);
        Refused(rollout => rollout.Plan.MaxUnavailable = -1);
        Refused(rollout => rollout.Plan.Skipped.Add("web9: \u202e"));
        Refused(rollout => rollout.Plan.Pushed = new string('x', 600_000));
        Refused(rollout =>
        {
            for (int n = 0; n < 1000; n++) rollout.Plan.Batches[0].Hosts.Add(new V1.RolloutHost { Name = $"host{n}", Address = "local" });
        });
    }

    [Fact]
    public void A_thousand_hosts_are_kept_as_they_were_sent()
    {
        V1.Rollout sent = Rollout();
        sent.Plan.Batches.Clear();
        for (int n = 0; n < 500; n++)
        {
            sent.Plan.Batches.Add(new V1.RolloutBatch
            {
                Hosts = { new V1.RolloutHost { Name = $"a{n}.dc.example.com", Address = $"ssh://deploy@a{n}.dc.example.com" }, new V1.RolloutHost { Name = $"b{n}", Address = $"https://b{n}:7443" } },
            });
        }
        Rollout kept = RolloutMessages.Checked(sent);
        Assert.Equal(sent.Plan, RolloutMessages.Of(new AppName("shop"), kept).Plan);
    }

    [Fact]
    public void What_a_newer_driver_adds_to_the_plan_is_kept()
    {
        V1.Rollout sent = Rollout();
        byte[] newer = [.. sent.Plan.ToByteArray(), 0xf8, 0x07, 0x2a];   // field 127
        sent.Plan = V1.RolloutPlan.Parser.ParseFrom(newer);
        Assert.Equal(newer, RolloutMessages.Of(new AppName("shop"), RolloutMessages.Checked(sent)).Plan.ToByteArray());
    }

    [Fact]
    public void Texts_for_people_cannot_move_a_cursor()
    {
        V1.Rollout sent = Rollout();
        (sent.Driver, sent.Reason) = ("ann\e[2J@laptop", "one\ntwo");
        Rollout kept = RolloutMessages.Checked(sent);
        Assert.Equal(("ann?[2J@laptop", "one?two"), (kept.Driver, kept.Reason));
    }

    [Theory]
    [InlineData("r-1", "r-1", "", true)]
    [InlineData("r-1-back", "r-1", "-back", true)]
    [InlineData("r-1-back", "r-1", "", false)]
    [InlineData("r-2", "r-1", "-back", false)]
    [InlineData("", "r-1", "", false)]
    [InlineData("a/b", null, "", false)]
    [InlineData("a-b", null, "", true)]
    public void A_turns_request_is_the_rollouts(string request, string? rollout, string suffix, bool good)
    {
        string? Parse() => RolloutMessages.RequestOf(request, rollout is null ? null : new V1.RolloutTurn { Id = rollout, Revision = 1 }, suffix);
        if (good) Assert.Equal(request, Parse());
        else Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(Parse).Code);
    }

    private static void Refused(Action<V1.Rollout> spoil)
    {
        V1.Rollout rollout = Rollout();
        _ = RolloutMessages.Checked(rollout);
        spoil(rollout);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => RolloutMessages.Checked(rollout)).Code);
    }

    private static V1.Rollout Rollout() => new()
    {
        Id = "shop-20261121-1103-7f3a",
        App = "shop",
        Revision = 1,
        State = V1.Rollout.Types.State.Running,
        Driver = "ann@laptop",
        Started = new Timestamp { Seconds = 1_800_000_000 },
        Plan = new V1.RolloutPlan
        {
            Version = "v1.2.0",
            Batches = { new V1.RolloutBatch { Hosts = { new V1.RolloutHost { Name = "web1", Address = "ssh://web1" } } } },
            MaxFailures = 1,
        },
    };
}
