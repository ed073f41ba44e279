#!/bin/bash
# Runs a command inside a host, in the cgroup of its PID 1 and with no more capabilities than that, so that it is one of
# the host's own processes.
# usage: enter.sh PID CGROUP WITHHELD COMMAND...
set -euo pipefail
pid=$1 cgroup=$2 withheld=$3
shift 3
scope=$cgroup/host/init.scope/cgroup.procs
[[ ! -e $scope ]] || echo $$ >"$scope"
exec nsenter -t "$pid" -a -- setpriv --bounding-set="$withheld" -- "$@"
