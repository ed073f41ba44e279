using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Agent.Daemon.Systemd;

/// <summary>A method call to systemd.</summary>
/// <param name="Arguments">Writes them; null where there are none.</param>
internal sealed record BusCall(string Path, string Interface, string Member, Action<BusMessage>? Arguments)
{
    /// <summary>Time for the answer. Default 30 s; systemd does not answer while it loads units.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Where systemd can be talked to.</summary>
/// <param name="Address">As D-Bus writes it: <c>unix:path=/run/systemd/private</c>.</param>
/// <param name="Broker">A message bus; false: systemd itself, without one between.</param>
internal sealed record BusAddress(string Address, bool Broker)
{
    /// <summary>The system bus, then systemd's own socket, which root may use and which needs no D-Bus daemon.</summary>
    public static IReadOnlyList<BusAddress> OfSystem { get; } =
    [
        new(Environment.GetEnvironmentVariable("DBUS_SYSTEM_BUS_ADDRESS") ?? "unix:path=/run/dbus/system_bus_socket", Broker: true),
        new("unix:path=/run/systemd/private", Broker: false),
    ];
}

/// <summary>The end of a job that systemd runs.</summary>
/// <param name="Path">The job's object: <c>/org/freedesktop/systemd1/job/4711</c>.</param>
/// <param name="Ended">The result word; fails with <see cref="BusLostException"/> where the news may have been missed.</param>
internal sealed record JobWatch(string Path, Task<string> Ended);

/// <summary>
/// One thread that owns the connection to systemd and sleeps in poll(2) until a call, an answer or a signal comes.
/// It connects at the first call, and again at the first call after the connection was lost.
/// </summary>
internal sealed class BusThread : IDisposable
{
    private const string Broker = "org.freedesktop.DBus", Systemd = "org.freedesktop.systemd1";
    private const string SystemdPath = "/org/freedesktop/systemd1", ManagerInterface = "org.freedesktop.systemd1.Manager";

    private readonly IReadOnlyList<BusAddress> addresses;
    private readonly TimeProvider time;
    private readonly WakeUp wake = new();
    private readonly ConcurrentQueue<(Action Work, Action<Exception> Refuse)> posted = new();
    private readonly Thread thread;
    private volatile bool stopping;

    // From here on: the thread's own.
    private readonly Dictionary<ulong, Pending> pending = [];
    private readonly Dictionary<string, TaskCompletionSource<string>> jobs = new(StringComparer.Ordinal);
    private nint bus;
    private BusAddress? connected;
    private string? systemdOwner;

    public BusThread(IReadOnlyList<BusAddress> addresses, TimeProvider time)
    {
        this.addresses = addresses;
        this.time = time;
        thread = new Thread(Run) { IsBackground = true, Name = "sd-bus" };
        thread.Start();
    }

    private sealed record Pending(BusCall Call, long Since, Action<BusMessage> Answered, Action<Exception> Failed);

    /// <summary>Makes a call. Cancelling stops the waiting; systemd carries out what it was told.</summary>
    /// <param name="read">Reads the answer, on the bus thread.</param>
    /// <exception cref="BusErrorException">systemd refused.</exception>
    /// <exception cref="BusLostException">The connection went away; systemd may have carried out the call.</exception>
    /// <exception cref="TimeoutException">No answer within the call's time.</exception>
    public Task<T> CallAsync<T>(BusCall call, Func<BusMessage, T> read, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() =>
        {
            if (cancellationToken.IsCancellationRequested) return;
            try
            {
                Connect();
                Send(call, Systemd, message => answer.TrySetResult(read(message)), e => answer.TrySetException(e));
            }
            catch (Exception e)
            {
                answer.TrySetException(e);
                if (e is BusLostException) Disconnect(e);
            }
        }, e => answer.TrySetException(e));
        return answer.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Watches a job; to be called where an answer is read, so that no signal comes between.</summary>
    public JobWatch Watch(string job)
    {
        if (!jobs.TryGetValue(job, out TaskCompletionSource<string>? ended))
        {
            jobs[job] = ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _ = ended.Task.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
        return new JobWatch(job, ended.Task);
    }

    public void Dispose()
    {
        stopping = true;
        wake.Signal();
        if (Environment.CurrentManagedThreadId != thread.ManagedThreadId) thread.Join();
    }

    private void Post(Action work, Action<Exception> refuse)
    {
        posted.Enqueue((work, refuse));
        if (stopping) refuse(Stopping());
        wake.Signal();
    }

    private void Run()
    {
        while (!stopping)
        {
            try
            {
                while (posted.TryDequeue(out var next)) next.Work();
                Process();
                Expire();
                Wait();
            }
            catch (Exception e)
            {
                // Whatever it was: nobody waits for ever, and the next call begins with a new connection.
                Disconnect(e);
            }
        }
        Disconnect(Stopping());
        while (posted.TryDequeue(out var next)) next.Refuse(Stopping());
        wake.Dispose();
    }

    private void Connect()
    {
        if (bus != 0) return;
        string? failures = null;
        foreach (BusAddress address in addresses)
        {
            if (TryOpen(address, out int error))
            {
                connected = address;
                if (address.Broker) Subscribe();
                return;
            }
            failures = $"{(failures is null ? "" : failures + "; ")}{address.Address}: {Marshal.GetPInvokeErrorMessage(error)}";
        }
        throw new BusLostException(failures ?? "no address");
    }

    private bool TryOpen(BusAddress address, out int error)
    {
        int result = SdBus.New(out nint fresh);
        if (result >= 0) result = SdBus.SetAddress(fresh, address.Address);
        if (result >= 0) result = SdBus.SetBusClient(fresh, address.Broker ? 1 : 0);
        if (result >= 0) result = SdBus.Start(fresh);
        error = -result;
        if (result >= 0) bus = fresh;
        else if (fresh != 0) SdBus.Release(fresh);
        return result >= 0;
    }

    // Before any call of a user goes out, so that the end of a job is never missed: the broker and systemd work in order.
    // Without a broker systemd sends its signals unasked.
    private void Subscribe()
    {
        AskBroker("AddMatch", $"type='signal',sender='{Systemd}',path='{SystemdPath}',interface='{ManagerInterface}',member='JobRemoved'", null);
        AskBroker("AddMatch", $"type='signal',sender='{Broker}',interface='{Broker}',member='NameOwnerChanged',arg0='{Systemd}'", null);
        AskBroker("GetNameOwner", Systemd, answer => systemdOwner = answer.ReadString());
        Send(new BusCall(SystemdPath, ManagerInterface, "Subscribe", null), Systemd, static _ => { }, Disconnect);
    }

    private void AskBroker(string member, string argument, Action<BusMessage>? answered) =>
        Send(new BusCall("/org/freedesktop/DBus", Broker, member, m => m.Write(argument)), Broker, answered ?? (static _ => { }), Disconnect);

    private void Send(BusCall call, string destination, Action<BusMessage> answered, Action<Exception> failed)
    {
        Check(SdBus.NewMethodCall(bus, out nint message, connected!.Broker ? destination : null, call.Path, call.Interface, call.Member), call.Member);
        try
        {
            call.Arguments?.Invoke(new BusMessage(message));
            Check(SdBus.Send(bus, message, out ulong cookie), call.Member);
            pending[cookie] = new Pending(call, time.GetTimestamp(), answered, failed);
        }
        finally
        {
            SdBus.ReleaseMessage(message);
        }
    }

    private void Process()
    {
        while (bus != 0)
        {
            int result = Check(SdBus.Process(bus, out nint message), "the connection");
            if (message != 0)
            {
                try
                {
                    Dispatch(new BusMessage(message));
                }
                finally
                {
                    SdBus.ReleaseMessage(message);
                }
            }
            if (bus != 0 && SdBus.IsOpen(bus) <= 0) throw new BusLostException("the D-Bus connection was closed by the other end");
            if (result == 0) return;
        }
    }

    private void Dispatch(BusMessage message)
    {
        if (message.ReplyCookie is not 0 and var cookie)
        {
            if (pending.Remove(cookie, out Pending? call)) Answer(call, message);
        }
        else if (message.IsSignal(ManagerInterface, "JobRemoved") && IsFromSystemd(message))
        {
            message.ReadUInt32();
            string job = message.ReadPath();
            message.ReadString();
            if (jobs.Remove(job, out TaskCompletionSource<string>? ended)) ended.TrySetResult(message.ReadString());
        }
        else if (message.IsSignal(Broker, "NameOwnerChanged") && message.Sender == Broker)
        {
            // systemd was executed anew, or left the bus: it has forgotten us, and jobs may have ended unseen.
            throw new BusLostException("systemd's connection to D-Bus went away");
        }
    }

    // Anybody on the bus may send us a signal that looks like systemd's.
    private bool IsFromSystemd(BusMessage message) => !connected!.Broker || (systemdOwner is not null && message.Sender == systemdOwner);

    private static void Answer(Pending call, BusMessage message)
    {
        try
        {
            if (message.Error is not { } error) call.Answered(message);
            else if (IsLoss(error.Name)) call.Failed(new BusLostException(error.Message));
            else call.Failed(error);
        }
        catch (Exception e)
        {
            call.Failed(e);
            throw;
        }
    }

    // The broker's own words for: systemd is not (or no more) on the bus.
    private static bool IsLoss(string error) => error is "org.freedesktop.DBus.Error.NoReply" or "org.freedesktop.DBus.Error.Disconnected"
        or "org.freedesktop.DBus.Error.ServiceUnknown" or "org.freedesktop.DBus.Error.NameHasNoOwner"
        || error.StartsWith("org.freedesktop.DBus.Error.Spawn.", StringComparison.Ordinal);

    private void Expire()
    {
        foreach ((ulong cookie, Pending call) in pending)
        {
            if (time.GetElapsedTime(call.Since) < call.Call.Timeout) continue;
            pending.Remove(cookie);
            call.Failed(new TimeoutException($"systemd did not answer {call.Call.Member} within {call.Call.Timeout.TotalSeconds:0} s"));
        }
    }

    private void Wait()
    {
        if (!posted.IsEmpty) return;
        double milliseconds = pending.Values.Select(p => (p.Call.Timeout - time.GetElapsedTime(p.Since)).TotalMilliseconds)
            .DefaultIfEmpty(double.PositiveInfinity).Min();
        Span<LibC.PollDescriptor> descriptors = stackalloc LibC.PollDescriptor[2];
        descriptors[0] = new() { Descriptor = wake.Descriptor, Events = LibC.PollIn };
        descriptors[1] = new() { Descriptor = -1 };
        if (bus != 0)
        {
            descriptors[1].Descriptor = Check(SdBus.GetDescriptor(bus), "the connection");
            descriptors[1].Events = (short)Check(SdBus.GetEvents(bus), "the connection");
            // The library's own deadline is that of logging in; it suffices to look now and then.
            Check(SdBus.GetTimeout(bus, out ulong microseconds), "the connection");
            if (microseconds == 0) return;
            if (microseconds != ulong.MaxValue) milliseconds = Math.Min(milliseconds, 1000);
        }
        LibC.Poll(descriptors, double.IsPositiveInfinity(milliseconds) ? -1 : (int)Math.Max(0, Math.Ceiling(milliseconds)));
        wake.Clear();
    }

    private void Disconnect(Exception cause)
    {
        if (bus != 0)
        {
            SdBus.Close(bus);
            SdBus.Release(bus);
        }
        bus = 0;
        systemdOwner = null;
        BusLostException lost = cause as BusLostException ?? new BusLostException(cause.Message);
        Pending[] calls = [.. pending.Values];
        TaskCompletionSource<string>[] watches = [.. jobs.Values];
        pending.Clear();
        jobs.Clear();
        foreach (Pending call in calls) call.Failed(lost);
        foreach (TaskCompletionSource<string> watch in watches) watch.TrySetException(lost);
    }

    private static BusLostException Stopping() => new("the agent is stopping");

    private static int Check(int result, string what) =>
        result >= 0 ? result : throw new BusLostException($"{what}: {Marshal.GetPInvokeErrorMessage(-result)}");
}
