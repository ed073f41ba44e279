using System.Globalization;
using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>
/// When a process starts, in a part of systemd's OnCalendar syntax (systemd.time(7), "Calendar Events") that is checked here, so that a
/// mistake is told before a timer is written: <c>daily</c>, <c>Mon..Fri 08:30</c>, <c>*-*-01 04:00:00</c>, <c>*:0/15 UTC</c>.
/// </summary>
internal static partial class Schedule
{
    /// <returns>The text, without surrounding blanks.</returns>
    /// <exception cref="OperatorException">It is none, or none that is taken here (<see cref="ExitCode.Usage"/>).</exception>
    public static string Check(string text)
    {
        string schedule = text.Trim(' ');
        Match match = Pattern().Match(schedule);
        if (schedule.Length == 0 || !match.Success || !match.Groups.Values.Skip(1).Any(group => group.Name != "zone" && group.Success)
            || !InRange(match, "year", 1970, 2199) || !InRange(match, "month", 1, 12) || !InRange(match, "day", 1, 31)
            || !InRange(match, "hour", 0, 23) || !InRange(match, "minute", 0, 59) || !InRange(match, "second", 0, 59))
        {
            throw new OperatorException(
                ExitCode.Usage, $"'{(schedule.Length > 100 ? schedule[..100] + "..." : schedule)}' is no schedule",
                "write it as systemd's OnCalendar: daily, 'Mon..Fri 08:30', '*-*-01 04:00' or '*:0/15'; 'systemd-analyze calendar' explains one");
        }
        return schedule;
    }

    // "0/15" begins at 0 and repeats: what follows the slash is a distance, from 1.
    private static bool InRange(Match match, string part, int least, int most)
    {
        foreach (string item in match.Groups[part].Value.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] repeated = item.Split('/');
            if (repeated.Length == 2 && (Number(repeated[1]) is var step && (step < 1 || step > most))) return false;
            if (repeated[0] == "*") continue;
            int[] ends = [.. repeated[0].Split("..").Select(Number)];
            if (ends.Any(end => end < least || end > most) || ends[0] > ends[^1]) return false;
        }
        return true;
    }

    private static int Number(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    private const string Day = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
    private const string Item = @"[0-9]{1,2}(?:\.\.[0-9]{1,2})?(?:/[0-9]{1,2})?";
    private const string Part = @"(?:\*|" + Item + "(?:," + Item + "){0,30})";

    [GeneratedRegex(@"\A(?:(?<word>minutely|hourly|daily|weekly|monthly|quarterly|semiannually|yearly|annually)|"
        + @"(?:(?<weekday>" + Day + @"(?:(?:\.\.|,)" + Day + @"){0,6})(?:[ ]|\z))?"
        + @"(?:(?:(?<year>\*|[0-9]{4})-)?(?<month>" + Part + ")-(?<day>" + Part + @")(?:[ ]|\z))?"
        + "(?:(?<hour>" + Part + "):(?<minute>" + Part + ")(?::(?<second>" + Part + "))?)?"
        + @")(?<zone>(?:(?<=[ ])|[ ])(?:UTC|[A-Z][A-Za-z]{1,20}(?:/[A-Z][A-Za-z_-]{1,30}){1,2}))?\z")]
    private static partial Regex Pattern();
}
