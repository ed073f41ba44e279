using System.Net.Sockets;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;

namespace Agent.Tests.Health;

/// <summary>What people read: times, texts of somebody else, ends and failures of connections.</summary>
public class WordsTests
{
    [Theory]
    [InlineData(0, "0 ms")]
    [InlineData(0.999, "999 ms")]
    [InlineData(1, "1 s")]
    [InlineData(1.25, "1.3 s")]
    [InlineData(119, "119 s")]
    [InlineData(120, "2 min")]
    [InlineData(5430, "90.5 min")]
    public void A_duration_has_the_unit_in_which_people_think(double seconds, string told) => Assert.Equal(told, Spoken.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData("12345", "12345")]
    [InlineData("123456", "1234…")]
    [InlineData("123😀6", "123…")]     // not through the middle of a character
    [InlineData("a\nb\u0007c", "a b c")]
    public void A_text_of_somebody_else_is_one_line_of_five_characters(string text, string told) => Assert.Equal(told, Spoken.Line(text, 5));

    [Theory]
    [InlineData("exited", 3, "exit-code", "exit status 3 (exit-code)")]
    [InlineData("exited", 0, "success", "exit status 0")]
    [InlineData("killed", 9, "oom-kill", "signal 9 (oom-kill)")]
    [InlineData("dumped", 11, "core-dump", "signal 11, core dumped (core-dump)")]
    [InlineData("", 0, "timeout", "timeout")]
    [InlineData("", 0, "", "")]
    public void An_end_is_told_with_what_systemd_makes_of_it(string kind, int code, string result, string told) =>
        Assert.Equal(told, Spoken.End(new UnitState(new("shop.service"), "loaded", "failed", "failed", result, 0, 0, kind, code, "", null)));

    [Theory]
    [InlineData(SocketError.ConnectionRefused, "connection refused")]
    [InlineData(SocketError.ConnectionReset, "connection reset")]
    [InlineData(SocketError.HostNotFound, "host name not found")]
    [InlineData(SocketError.NoData, "host name not found")]
    [InlineData(SocketError.TryAgain, "host name not found")]
    [InlineData(SocketError.HostUnreachable, "host unreachable")]
    [InlineData(SocketError.NetworkUnreachable, "host unreachable")]
    [InlineData(SocketError.AccessDenied, "permission denied")]
    [InlineData(SocketError.WouldBlock, "the socket's queue is full")]
    public void A_connection_that_fails_is_told_in_words_however_deep_its_cause_lies(SocketError error, string told)
    {
        var cause = new SocketException((int)error);
        Assert.Equal(told, HealthProbe.Explain(cause));
        Assert.Equal(told, HealthProbe.Explain(new HttpRequestException("no", new IOException("no", cause))));
    }

    [Fact]
    public void What_has_no_words_of_its_own_is_told_in_the_systems()
    {
        var rare = new SocketException((int)SocketError.MessageSize);
        Assert.Equal(rare.Message, HealthProbe.Explain(new IOException("no", rare)));
        Assert.Equal("there is no socket /run/shop", HealthProbe.Explain(new IOException("there is no socket /run/shop", new SocketException((int)SocketError.AddressNotAvailable))));
        Assert.Equal("deeper", HealthProbe.Explain(new HttpRequestException("no", new IOException("deeper"))));
    }

    [Fact]
    public void An_answer_that_is_none_is_told()
    {
        Assert.Equal("connection closed in the middle of an answer", HealthProbe.Explain(new HttpRequestException(HttpRequestError.ResponseEnded)));
        Assert.Equal("connection closed in the middle of an answer", HealthProbe.Explain(new HttpIOException(HttpRequestError.ResponseEnded)));
        Assert.Equal("the answer is not HTTP", HealthProbe.Explain(new HttpRequestException(HttpRequestError.InvalidResponse)));
        Assert.Equal("no TLS: untrusted", HealthProbe.Explain(new HttpRequestException(HttpRequestError.SecureConnectionError, "no", new IOException("untrusted"))));
    }
}
