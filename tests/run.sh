#!/bin/bash
# All tests, from a fresh clone: installs the tools that are missing, builds, runs the fast tests and then the system
# tests, and prints the counts of both alone on the last line. Without root the system tests are skipped, by name.
# Exit status: 0 when every test that ran passed and every run told what it ran; else 1.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=install.sh
source "$root/install.sh"    # need, need_sdk, apt_install, say, fail

passed=0 failed=0 skipped=0 broken=''
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# run_tests NAME: runs tests/NAME and adds its counts up.
run_tests() {
    local report=$work/$1.xml status=0 line
    say "$1"
    timeout --kill-after=60 3600 dotnet exec "$root/tests/$1/bin/Debug/net10.0/$1.dll" -noColor -xml "$report" || status=$?
    line=$(grep -o -m 1 '<assembly [^>]*>' "$report" 2>/dev/null || true)
    if [[ -z $line ]]; then
        broken+="$1 ended with status $status and no report. "
        return
    fi
    local -i p f s e
    p=$(count passed "$line") f=$(count failed "$line") s=$(count skipped "$line") e=$(count errors "$line")
    ((p + f + s > 0)) || broken+="$1 ran no test. "
    ((status == 0 || f + e > 0)) || broken+="$1 ended with status $status. "
    passed+=$p failed+=f+e skipped+=$s
}

# count ATTRIBUTE ELEMENT
count() {
    local pattern=" $1=\"([0-9]+)\""
    [[ $2 =~ $pattern ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

declare -i passed failed skipped
need_sdk
need git=git
if [[ $EUID == 0 ]]; then
    need dbus-daemon=dbus ip=iproute2 nsenter=util-linux nginx=nginx curl=curl python3=python3 faketime=faketime ssh=openssh-client rsync=rsync
    # PostgreSQL's programs, and the libraries that plans and restore points use; without them those tests say so.
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || apt_install postgresql || true
    ldconfig -p | grep -q 'libpg_query\.so' || apt_install libpg-query-dev || true
    [[ -x /usr/sbin/pgbouncer ]] || apt_install pgbouncer || true
    ldconfig -p | grep -q 'libzstd\.so\.1' || apt_install libzstd1 || true
    "$root/tests/fetch-sshd.sh" || true    # without it those tests say so
    # For the calls to and from another gRPC implementation; those tests are skipped without it.
    /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null || apt_install python3-grpcio python3-protobuf || true
else
    say "not root: the system tests will be skipped; all tests run with: sudo tests/run.sh"
fi

say "building"
dotnet build "$root/Agent.sln" -c Debug --nologo --verbosity quiet --disable-build-servers || fail "it does not build" "see above"
run_tests Agent.Tests
run_tests Agent.SystemTests

[[ -z $broken ]] || printf '\nerror: %s\n' "$broken"
counts="$passed passed, $failed failed"
((skipped == 0)) || counts+=", $skipped skipped"
printf '\n%s\n' "$counts"
[[ -z $broken && $failed == 0 ]]
