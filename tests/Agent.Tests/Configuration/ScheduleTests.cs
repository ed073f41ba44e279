using Agent.Artifacts;
using Agent.Daemon.Configuration;

namespace Agent.Tests.Configuration;

public class ScheduleTests
{
    // Each of these is taken by 'systemd-analyze calendar' too.
    [Theory]
    [InlineData("daily")]
    [InlineData("semiannually")]
    [InlineData("weekly UTC")]
    [InlineData("Mon..Fri 08:30")]
    [InlineData("Sat,Sun 06:00:30 Europe/Berlin")]
    [InlineData("Mon")]
    [InlineData("*-*-* 03:30")]
    [InlineData("*-*-01 04:00:00")]
    [InlineData("2030-12-24 18:00")]
    [InlineData("*:0/15")]
    [InlineData("*:*:0/10")]
    [InlineData("8..17:00,30")]
    [InlineData("Mon *-1..6-1,15 00:00")]
    [InlineData("06-30")]
    [InlineData("*-1..6/2,9-* 0:0")]
    [InlineData(" hourly ")]
    public void Takes(string schedule) => Assert.Equal(schedule.Trim(), Schedule.Check(schedule));

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("UTC")]
    [InlineData("sometimes")]
    [InlineData("Daily")]
    [InlineData("25:00")]
    [InlineData("08:60")]
    [InlineData("*-13-01 00:00")]
    [InlineData("*-00-01 00:00")]
    [InlineData("*-*-32")]
    [InlineData("17..8:00")]
    [InlineData("*:0/0")]
    [InlineData("*-*/2-01 00:00")]
    [InlineData("daily\nOnCalendar=minutely")]
    [InlineData("08:30  UTC")]
    [InlineData("Mon 08:30; rm")]
    [InlineData("%n")]
    public void Refuses(string schedule) =>
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => Schedule.Check(schedule)).Code);
}
