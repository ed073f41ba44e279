using Agent.TestHosts;

namespace Agent.SystemTests.TestHosts;

public sealed class NetworkTests : SystemTest
{
    [Fact]
    public async Task Hosts_of_one_network_reach_each_other_by_name_and_no_one_else()
    {
        var blue = new TestHostOptions { Network = "blue" };
        await using TestHost server = await UpAsync("server", blue);
        await using TestHost client = await UpAsync("client", blue);
        await using TestHost stranger = await UpAsync("stranger", new TestHostOptions { Network = "red" });
        await server.WriteAsync("/srv/www/hello", "from the server", Cancel);
        (await server.RunAsync(["systemd-run", "/usr/bin/python3", "-m", "http.server", "--directory", "/srv/www", "80"], Cancel)).Succeeded();

        const string Get = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=3).read().decode())";
        await WaitUntilAsync("the server answers", async () =>
            (await client.RunAsync(["/usr/bin/python3", "-c", Get, "http://server/hello"], Cancel)).Output == "from the server\n");
        Assert.NotEqual(0, (await stranger.RunAsync(["/usr/bin/python3", "-c", Get, $"http://{server.Address}/hello"], Cancel)).Exit);

        await client.PowerCutAsync(Cancel);
        await client.BootAsync(Cancel);
        Assert.Equal("from the server\n", (await client.RunAsync(["/usr/bin/python3", "-c", Get, "http://server/hello"], Cancel)).Output);
    }
}
