#!/bin/bash
# Branch coverage of the rooms that decide and undo, by the fast tests: prints branches covered, all branches and the share
# for each, and what a room misses with --missing. AGENTD_SEEDS narrows or widens the simulated lives (0-999 by
# default). The tests that run are those of the four rooms and of the API.
# Exit status: 0 when all reach the aim, else 1.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dotnet build "$root/tests/Agent.Tests" --nologo --verbosity quiet -clp:NoSummary >"$work/log" || { cat "$work/log" >&2; exit 1; }
cp -r "$root/tests/Agent.Tests/bin/Debug/net10.0" "$work/tests"
dotnet restore "$root/tests/coverage" --verbosity quiet
dotnet msbuild "$root/tests/coverage" -nologo -verbosity:minimal -t:Measure "-p:TargetPath=$work/tests/Agent.Tests.dll" \
    "-p:CoverletOutput=$work/coverage.xml" -p:CoverletOutputFormat=cobertura '-p:Include=[agentd]*' >"$work/log" || { cat "$work/log" >&2; exit 1; }
report=$work/coverage.xml
/usr/bin/python3 - "$report" "${1:-}" <<'PYTHON'
import collections, re, sys, xml.etree.ElementTree as xml
rooms, aim = ("Deployments", "State", "Releases", "Health"), 0.95
# A class lists a line twice, with its methods and by itself; async methods and lambdas are classes of their own.
lines = collections.defaultdict(lambda: (0, 0))
for unit in xml.parse(sys.argv[1]).getroot().iter("class"):
    for line in unit.iter("line"):
        branches = re.search(r"\((\d+)/(\d+)\)", line.get("condition-coverage", ""))
        if branches:
            key = unit.get("filename"), int(line.get("number")), unit.get("name")
            lines[key] = max(lines[key], tuple(map(int, branches.groups())))
missed = False
for room in rooms:
    # By the longest common directory of all sources.
    of = {key: both for key, both in lines.items() if key[0].removeprefix("agent/Daemon/").startswith(room + "/")}
    covered, total = (sum(both[i] for both in of.values()) for i in (0, 1))
    share = covered / total if total else 0
    missed |= share < aim
    print(f"{room:12} {covered:5} of {total:5}  {share:7.1%}{'' if share >= aim else '  MISSED'}")
    if sys.argv[2] == "--missing":
        for (file, number, _), (some, every) in sorted(of.items()):
            if some < every:
                print(f"    {file}:{number}  {some} of {every}")
sys.exit(missed)
PYTHON
