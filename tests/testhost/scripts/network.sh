#!/bin/bash
# Makes a network of throwaway hosts where it is not yet: a bridge in a network namespace that one sleeping process
# keeps. Prints the process id of that process. The caller holds the lock.
# usage: network.sh CGROUP
set -euo pipefail
cgroup=$1
mkdir -p "$cgroup"
holder=$(head -n 1 "$cgroup/cgroup.procs")
if [[ -z $holder ]]; then
    # shellcheck disable=SC2016  # expands in the shell that it is for
    setsid unshare --net -- bash -c '
        set -e
        ip link set lo up
        ip link add br0 type bridge
        ip address add 10.77.0.1/16 dev br0
        ip link set br0 up
        echo $$ >"$1/cgroup.procs"
        exec sleep infinity' network "$cgroup" </dev/null >/dev/null 2>&1 &
    for _ in {1..500}; do
        holder=$(head -n 1 "$cgroup/cgroup.procs")
        [[ -z $holder ]] || break
        sleep 0.01
    done
fi
[[ -n $holder ]] || { echo "the bridge of the network did not come up" >&2; exit 1; }
echo "$holder"
