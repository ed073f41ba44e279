#!/bin/bash
# Ends everything of a host and removes its disk, its cgroup, and its network when it was the last one in it. It may
# run twice, at once, and on what a crash left.
# usage: down.sh HOSTS ID CGROUPS [OWNER]    with OWNER: only while the host is still that owner's
set -euo pipefail
hosts=$1 id=$2 cgroups=$3 owner=${4-}

# Every process in a cgroup tree, ended; then the tree, removed.
remove_cgroup() {
    [[ -d $1 ]] || return 0
    local deadline=$((SECONDS + 10)) pids
    while :; do
        mapfile -t pids < <(find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null)
        ((${#pids[@]})) || break
        kill -KILL "${pids[@]}" 2>/dev/null || true
        ((SECONDS < deadline)) || { echo "processes of $1 do not end: ${pids[*]}" >&2; exit 1; }
        sleep 0.02
    done
    until find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; do
        [[ -d $1 ]] || break
        ((SECONDS < deadline)) || { echo "cannot remove $1" >&2; exit 1; }
        sleep 0.02
    done
}

# The one who removes the last host removes the lock too: what was waited for may be a lock no more.
[[ -d $hosts ]] || exit 0
until [[ $hosts/.lock -ef /dev/fd/9 ]]; do
    [[ -d $hosts ]] || mkdir -m 700 "$hosts" || continue
    exec 9>>"$hosts/.lock" || continue
    flock 9
done
dir=$hosts/$id
if [[ -z $owner || $(cat "$dir/owner" 2>/dev/null) == "$owner" ]]; then
    network=$(cat "$dir/network" 2>/dev/null || true)
    remove_cgroup "$cgroups/$id"
    rm -rf --one-file-system "$dir"
    if [[ -n $network ]] && ! grep -qsxF "$network" "$hosts"/*/network; then
        remove_cgroup "$cgroups/@$network"
    fi
fi
if [[ -z $(find "$hosts" -mindepth 1 -not -name .lock -print -quit) ]]; then
    rm "$hosts/.lock"
    rmdir "$hosts"
    rmdir "$cgroups" 2>/dev/null || true
fi
