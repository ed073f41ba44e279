// The shop: the service that tests and the try-out deploy. It serves / and /up on PORT (8080), and misbehaves where the file
// `behaviour` beside it, or BEHAVIOUR in its environment, asks for it:
//   ok | exit-at-once | never-listen | answer-500 | die-after:SECONDS | hang-on-stop
string Beside(string file, string otherwise) =>
    Path.Combine(AppContext.BaseDirectory, file) is var path && File.Exists(path) ? File.ReadAllText(path).Trim() : otherwise;

string version = Beside("VERSION", "v0.0.0");
string behaviour = Environment.GetEnvironmentVariable("BEHAVIOUR") ?? Beside("behaviour", "ok");
int port = int.Parse(Environment.GetEnvironmentVariable("PORT") ?? "8080");
Console.WriteLine($"shop {version} starts");

if (behaviour == "exit-at-once") return 3;
if (behaviour == "never-listen") await Task.Delay(Timeout.Infinite);

var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(port));
var app = builder.Build();
int status = behaviour == "answer-500" ? 500 : 200;
app.MapGet("/", () => Results.Text($"shop {version}\n", statusCode: status));
app.MapGet("/up", () => Results.Text(status == 200 ? "ok\n" : "broken\n", statusCode: status));

if (behaviour.StartsWith("die-after:", StringComparison.Ordinal))
{
    var life = TimeSpan.FromSeconds(double.Parse(behaviour["die-after:".Length..]));
    app.Lifetime.ApplicationStarted.Register(() => Task.Delay(life).ContinueWith(_ => Environment.FailFast($"shop {version} dies")));
}
if (behaviour == "hang-on-stop") app.Lifetime.ApplicationStopping.Register(() => Thread.Sleep(Timeout.Infinite));

app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine($"shop {version} answers on port {port}"));
await app.RunAsync();
return 0;
