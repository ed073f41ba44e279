#!/usr/bin/python3
"""Measures inside of a host, where no way into it is on the clock.

measure.py gap URL COMMAND...    runs COMMAND while it asks URL all the time; prints two times in ms: the longest without an
                                 answer, from the last good answer to the next one; and from the command's start to that one
measure.py wall RUNS COMMAND...  runs COMMAND that often; prints the wall time of each in ms
"""
import http.client
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


if sys.argv[1] == "gap":
    gap(sys.argv[2], sys.argv[3:])
else:
    wall(int(sys.argv[2]), sys.argv[3:])
