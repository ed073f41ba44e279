#!/bin/bash
# Fetches sshd for throwaway hosts: unpacked below tests/Agent.SystemTests/bin, not installed, so that the machine does not
# begin to run one. Does nothing where there is one already.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
sshd=$root/tests/Agent.SystemTests/bin/sshd
[[ ! -x /usr/sbin/sshd && ! -e $sshd ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"
{ apt-get download -q openssh-server libwrap0 || { apt-get update -q && apt-get download -q openssh-server libwrap0; }; } >apt.log 2>&1 || { cat apt.log >&2; exit 1; }
mkdir root
for package in *.deb; do dpkg-deb -x "$package" root; done
mkdir -p "${sshd%/*}"
mv root "$sshd"
