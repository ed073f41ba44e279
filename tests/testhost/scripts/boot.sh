#!/bin/bash
# Boots a throwaway host in four stages, each the process of the one before:
#   machine  (network, mounts and processes of the machine) joins the host's cgroup
#   link     (a network namespace of its own) lo, and the cable to the bridge where there is one
#   inside   (namespaces of its own, PID 1) leaves for the cgroup that becomes the host's root cgroup
#   root     (that cgroup namespace) lays out the root file system, moves into it, becomes systemd
# usage: boot.sh machine DIR CGROUP
#   DIR     holds upper (the disk), name, binds, withheld (capabilities), and in a network also network, address, bridge; console gets what is printed
#   CGROUP  holds the cgroups outer (for the process that waits for PID 1) and host
set -euo pipefail
stage=$1 dir=$2 cgroup=$3
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

machine() {
    exec </dev/null >>"$dir/console" 2>&1
    echo $$ >"$cgroup/outer/cgroup.procs"
    exec unshare --net -- bash "$0" link "$dir" "$cgroup"
}

link() {
    ip link set lo up
    if [[ -e $dir/network ]]; then
        local address bridge port
        address=$(<"$dir/address") bridge=$(<"$dir/bridge") port=host${address##*.}
        # The cable of the boot before may take a moment to vanish with its namespace.
        nsenter -t "$bridge" -n ip link delete "$port" 2>/dev/null || true
        nsenter -t "$bridge" -n ip link add "$port" type veth peer name eth0 netns $$
        nsenter -t "$bridge" -n ip link set "$port" master br0 up
        ip address add "$address/16" dev eth0
        ip link set eth0 up
    fi
    exec unshare --mount --pid --uts --ipc --fork --kill-child --propagation private -- \
        bash "$0" inside "$dir" "$cgroup"
}

inside() {
    echo 0 >"$cgroup/host/cgroup.procs"
    exec unshare --cgroup -- bash "$0" root "$dir" "$cgroup"
}

# What the machine runs is not what the host runs: it starts as a plain installation with nothing enabled, no agent
# and no file systems to mount. Once; later boots find their disk as they left it.
first_boot() {
    find etc/systemd/system etc/systemd/user srv etc/agentd var/lib/agentd var/log/journal -mindepth 1 -delete 2>/dev/null || true
    find etc/rc?.d -name 'S*' -delete 2>/dev/null || true
    rm -f etc/fstab etc/crypttab usr/bin/agentd usr/bin/agentctl usr/lib/systemd/system/agentd.service
    mkdir -p etc/systemd/system etc/systemd/journald.conf.d var/log/journal srv
    local unit
    for unit in console-getty.service systemd-timesyncd.service sys-fs-fuse-connections.mount dev-hugepages.mount; do
        ln -s /dev/null etc/systemd/system/$unit
    done
    printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n' >etc/systemd/journald.conf.d/testhost.conf
    cat "$dir/name" >etc/hostname
    touch "$dir/prepared"
}

root() {
    rm -rf "$dir/work" "$dir/root"
    mkdir "$dir/work" "$dir/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
    cd "$dir/root"
    [[ -e $dir/prepared ]] || first_boot

    # The kernel's switches belong to the machine: read-only here.
    mount -t proc proc proc
    local switch
    for switch in proc/sys proc/sysrq-trigger; do
        [[ -e $switch ]] || continue
        mount --bind $switch $switch
        mount -o remount,bind,ro $switch
    done
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup

    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=1777 tmpfs tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    local node
    for node in null zero full random urandom tty; do
        touch "dev/$node"
        mount --bind "/dev/$node" "dev/$node"
    done
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    ln -s /proc/self/fd/0 dev/stdin
    ln -s /proc/self/fd/1 dev/stdout
    ln -s /proc/self/fd/2 dev/stderr

    local mode from to
    while IFS=$'\t' read -r mode from to; do
        if [[ -d $from ]]; then mkdir -p "./$to"; else mkdir -p "./${to%/*}" && touch "./$to"; fi
        mount --bind "$from" "./$to"
        [[ $mode == rw ]] || mount -o remount,bind,ro "./$to"
    done < <(grep . "$dir/binds")

    local withheld
    withheld=$(<"$dir/withheld")
    hostname "$(<"$dir/name")"
    mkdir run/machine
    pivot_root . run/machine
    cd /
    umount --lazy run/machine
    rmdir run/machine
    # As on a machine; systemd gives credentials to services by mounts that propagate. The old root is gone, so nothing leaves this namespace.
    mount --make-rshared /
    exec setpriv --bounding-set="$withheld" -- \
        env -i container=agentd-testhost PATH="$PATH" /lib/systemd/systemd --system
}

"$stage"
