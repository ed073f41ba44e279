#!/usr/bin/python3
"""Measures inside of a host, where no way into it is on the clock.

measure.py gap URL COMMAND...    runs COMMAND while it asks URL all the time; prints two times in ms: the longest without an
                                 answer, from the last good answer to the next one; and from the command's start to that one
measure.py wall RUNS COMMAND...  runs COMMAND that often; prints the wall time of each in ms
measure.py tree DIR FILES BYTES SEED   makes a release of the sample and so many files of that size, in a hundred directories; half of
                                 each can be compressed
measure.py steps                 the last deployment in the journal, in ms: from its first record to its last; fetch, stage, prepare,
                                 flip, restart, gate, sweep
measure.py step STEP             that step of the last deployment, in ms
measure.py stall COMMAND...      runs COMMAND while a session holds the table busy for 10 s and an app reads it all the time; prints how long the app's longest
                                 query took, in ms
measure.py await STEP            waits until a deployment is in that step
measure.py sizes                 agentd's resident memory and its highest in MB, open descriptors; its journal, all its data and /srv in MB
measure.py processor SECONDS     % of a core in that time: agentd itself, what it started, its control group, and systemd with D-Bus
"""
import datetime
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.parse


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")


class Probe(threading.Thread):
    """Asks every millisecond, each time on a new connection, and keeps the times of the good answers."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = urllib.parse.urlsplit(url)
        self.answers = []
        self.stop = False

    def run(self):
        while not self.stop:
            connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=5)
            try:
                connection.request("GET", self.url.path)
                if connection.getresponse().status == 200:
                    self.answers.append(time.monotonic())
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.001)

    def wait(self, since):
        limit = time.monotonic() + 60
        while not self.answers or self.answers[-1] < since:
            if time.monotonic() > limit:
                sys.exit(f"{self.url.geturl()} does not answer")
            time.sleep(0.001)


def gap(url, command):
    probe = Probe(url)
    probe.start()
    probe.wait(0)
    start = time.monotonic()
    run(command)
    # A bare restart returns before the service answers: its gap ends with the first answer of a service that stays.
    probe.wait(time.monotonic() + 1)
    probe.stop = True
    probe.join()
    seen = [at for at in probe.answers if at >= start]
    before = [at for at in probe.answers if at < start][-1:]
    length, end = max((b - a, b) for a, b in zip(before + seen, seen))
    print(f"{length * 1000:.1f} {(end - start) * 1000:.1f}")


def wall(runs, command):
    for _ in range(runs):
        start = time.monotonic()
        run(command)
        print(f"{(time.monotonic() - start) * 1000:.1f}")


def tree(directory, files, size, seed):
    source = random.Random(seed)
    subprocess.run(["cp", "-r", "/root/shop", directory], check=True)
    for number in range(files):
        path = f"{directory}/part{number % 100:02}/file{number:06}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        noise = source.randbytes(size - size // 2)
        with open(path, "wb") as file:
            file.write(noise + (noise[:64] * (size // 128 + 1))[:size // 2])


def records():
    with open("/var/lib/agentd/journal", encoding="utf-8") as journal:
        return [json.loads(line.split(" ", 2)[2]) for line in journal if line.endswith("\n")]


def at(record):
    whole, _, fraction = record["at"].partition("+")[0].rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(whole).timestamp() * 1000 + float(f"0.{fraction or 0}") * 1000


def last_deployment():
    last = [record for record in records() if "deployment" in record]
    return [record for record in last if record["deployment"] == last[-1]["deployment"]]


def took(step, deployment):
    times = {record["type"]: at(record) for record in deployment if record.get("step") == step}
    return times["step-done"] - times["step-started"]


def steps():
    last = last_deployment()
    each = (took(step, last) for step in ("Fetch", "Stage", "Prepare", "Flip", "Restart", "Gate", "Sweep"))
    print(" ".join(f"{time:.3f}" for time in (at(last[-1]) - at(last[0]), *each)))


def stall(command):
    url = "postgres://shop:shop@127.0.0.1:5432/shop"
    holder = subprocess.Popen(["psql", "-qAt", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdin.write("BEGIN; SELECT count(*) FROM busy;\n")
    holder.stdin.flush()
    holder.stdout.readline()
    app = subprocess.Popen(["psql", "-qAt", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    longest, stop = [0.0], threading.Event()

    def ask():
        while not stop.is_set():
            start = time.monotonic()
            app.stdin.write("SELECT note FROM busy WHERE id = 1;\n")
            app.stdin.flush()
            app.stdout.readline()
            longest[0] = max(longest[0], time.monotonic() - start)
            time.sleep(0.005)

    asking = threading.Thread(target=ask)
    asking.start()
    release = threading.Timer(10, lambda: (holder.stdin.write("COMMIT;\n"), holder.stdin.close()))
    release.start()
    run(command)
    release.join()
    stop.set()
    asking.join()
    app.stdin.close()
    holder.wait()
    app.wait()
    print(f"{longest[0] * 1000:.1f}")


def wait_for(step):
    limit = time.monotonic() + 60
    while records()[-1].get("step") != step:
        if time.monotonic() > limit:
            sys.exit(f"no deployment reaches {step}")
        time.sleep(0.01)


def show(name, unit="agentd"):
    return int(subprocess.run(["systemctl", "show", "-P", name, unit], stdout=subprocess.PIPE, text=True, check=True).stdout)


def megabytes(path):
    return int(subprocess.run(["du", "-s", "--block-size=1024", path], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0]) / 1024


def sizes():
    process = f"/proc/{show('MainPID')}"
    status = dict(line.split(":", 1) for line in open(f"{process}/status"))
    held = [int(status[field].split()[0]) / 1024 for field in ("VmRSS", "VmHWM")]
    print(*held, len(os.listdir(f"{process}/fd")), *map(megabytes, ("/var/lib/agentd/journal", "/var/lib/agentd", "/srv")))


def processor(seconds):
    def used():
        # proc_pid_stat(5): utime, stime, cutime, cstime are the fields 14 to 17; the 2nd is in parentheses.
        def times(pid):
            return [int(field) / os.sysconf("SC_CLK_TCK") for field in open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[11:15]]

        own = times(show("MainPID"))
        around = sum(sum(times(pid)[:2]) for pid in (1, show("MainPID", "dbus")))
        return own[0] + own[1], own[2] + own[3], show("CPUUsageNSec") / 1e9, around

    before, start = used(), time.monotonic()
    time.sleep(seconds)
    after, took = used(), time.monotonic() - start
    print(*((b - a) / took * 100 for a, b in zip(before, after)))


verb, rest = sys.argv[1], sys.argv[2:]
if verb == "gap":
    gap(rest[0], rest[1:])
elif verb == "wall":
    wall(int(rest[0]), rest[1:])
elif verb == "tree":
    tree(rest[0], int(rest[1]), int(rest[2]), int(rest[3]))
elif verb == "steps":
    steps()
elif verb == "step":
    print(f"{took(rest[0], last_deployment()):.3f}")
elif verb == "stall":
    stall(rest)
elif verb == "await":
    wait_for(rest[0])
elif verb == "sizes":
    sizes()
else:
    processor(int(rest[0]))
