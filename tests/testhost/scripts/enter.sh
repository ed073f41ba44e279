#!/bin/bash
# Runs a command inside a host, in the cgroup of its PID 1, so that it is one of the host's own processes.
# usage: enter.sh PID CGROUP COMMAND...
set -euo pipefail
pid=$1 cgroup=$2
shift 2
scope=$cgroup/host/init.scope/cgroup.procs
[[ ! -e $scope ]] || echo $$ >"$scope"
exec nsenter -t "$pid" -a -- "$@"
