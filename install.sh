#!/bin/bash
# Installs agentd and agentctl, or tries them out on a throwaway host. ./install.sh --help tells the rest.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tool=$here/tests/testhost/bin/Debug/net10.0/testhost-systemd
try_host=agentd-try
installed=/usr/share/agentd/files    # what an installation brought, without the operator's files
work=''

usage() {
    cat <<'END'
sudo ./install.sh                 install on this machine, or upgrade: applications keep running
sudo ./install.sh --try           see it work: a throwaway host gets the agent, deploys, upgrades and rolls back; a few minutes
sudo ./install.sh --try --keep    and leave that host up, to look around in it
sudo ./install.sh --uninstall     remove the agent; what it deployed keeps running
sudo ./install.sh --purge         remove the agent, its data, and the applications it deployed (their shared/ directories stay)
     ./install.sh --stage DIR     only build, and lay out in DIR what goes to a server
sudo ./install.sh --from DIR      install what --stage has laid out
     ./install.sh --package FILE  only build, and pack into FILE.deb what goes to a server
END
}

main() {
    local action=install keep='' dir=''
    while (($#)); do
        case $1 in
            --try) action=try_out ;;
            --keep) keep=yes ;;
            --uninstall) action=uninstall ;;
            --purge) action=purge ;;
            --stage | --from | --package)
                action=${1#--} dir=${2-}
                [[ -n $dir ]] || fail "$1 needs a path" "./install.sh --help"
                shift
                ;;
            -h | --help) usage && exit ;;
            *) fail "unknown option $1" "./install.sh --help" ;;
        esac
        shift
    done
    [[ -z $keep || $action == try_out ]] || fail "--keep goes with --try" "sudo ./install.sh --try --keep"
    [[ $action == stage || $action == package || $EUID == 0 ]] || fail "this needs root" "sudo ./install.sh"
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    work=$(mktemp -d)
    case $action in
        install)
            need_systemd
            stage "$work/root"
            install_from "$work/root"
            ;;
        from)
            need_systemd
            install_from "$dir"
            ;;
        stage) stage "$dir" ;;
        package)
            stage "$work/root"
            package "$work/root" "$dir"
            ;;
        try_out) try_out "$keep" ;;
        uninstall)
            need_systemd
            uninstall
            say "agentd is removed. Applications keep running; /etc/agentd, /var/lib/agentd and /srv are as they were"
            ;;
        purge)
            need_systemd
            [[ ! -e $installed ]] || uninstall
            purge
            say "agentd is removed, and with it its data and the applications that it deployed"
            ;;
    esac
}

clean_up() {
    local status=$?
    if [[ -e $work/host ]]; then "$tool" down "$try_host" || true; fi
    rm -rf "$work"
    exit "$status"
}

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'error: %s\nfix:   %s\n' "$1" "$2" >&2
    exit 1
}

need_systemd() {
    [[ -d /run/systemd/system ]] ||
        fail "systemd does not run this machine, so there is nothing to install into" \
            "run it on a host with systemd as PID 1, or see it work here: sudo ./install.sh --try"
}

# Installs packages where the programs are missing. Arguments: PROGRAM=PACKAGE...
need() {
    local pair missing=()
    for pair; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || fail "missing: ${missing[*]}" "install these packages, then start again"
    [[ $EUID == 0 ]] || fail "missing: ${missing[*]}" "sudo apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    apt_install "${missing[@]}" || fail "could not install ${missing[*]}" "apt-get update && apt-get install ${missing[*]}"
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "$@" >"$work/apt.log" 2>&1 && return
    apt-get update -q >"$work/apt.log" 2>&1 || true
    apt-get install -y -q --no-install-recommends "$@" >"$work/apt.log" 2>&1 && return
    tail -n 5 "$work/apt.log" >&2
    return 1
}

# The .NET SDK that global.json asks for: found, or installed from the distribution's packages, or asked for.
need_sdk() {
    # The tools need a home that they can write to.
    if [[ ! -w ${HOME-} ]]; then export HOME=$work/home && mkdir -p "$HOME"; fi
    export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=false MSBUILDDISABLENODEREUSE=1
    # Of the user who called sudo, too.
    local user_home candidate
    user_home=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)
    for candidate in "${DOTNET_ROOT:-/nowhere}" "$(dirname "$(readlink -f "$(command -v dotnet || echo /nowhere/dotnet)")")" \
        /usr/lib/dotnet /usr/share/dotnet "$HOME/.dotnet" "$user_home/.dotnet"; do
        if has_sdk "$candidate"; then
            export DOTNET_ROOT=$candidate PATH=$candidate:$PATH
            return
        fi
    done
    if [[ $EUID == 0 ]] && command -v apt-get >/dev/null; then
        say "installing dotnet-sdk-10.0"
        if apt_install dotnet-sdk-10.0 && has_sdk /usr/lib/dotnet; then
            export DOTNET_ROOT=/usr/lib/dotnet PATH=/usr/lib/dotnet:$PATH
            return
        fi
    fi
    fail "there is no .NET SDK 10.0.100 or later here, and no package dotnet-sdk-10.0" \
        "curl -sSL https://dot.net/v1/dotnet-install.sh | sudo bash -s -- --channel 10.0 --install-dir /usr/share/dotnet"
}

has_sdk() { [[ -x $1/dotnet ]] && "$1/dotnet" --list-sdks 2>/dev/null | grep -qE '^10\.[0-9]+\.[1-9][0-9]{2}'; }

runtime() {
    case $(uname -m) in
        x86_64) echo linux-x64 ;;
        aarch64) echo linux-arm64 ;;
        *) fail "there is no build for $(uname -m)" "use an x86_64 or aarch64 machine" ;;
    esac
}

# Publishes a project for this machine's kind, outside of the sources, and without the analyzers that tests/run.sh builds with. publish PROJECT DIR
publish() {
    local log=$work/publish.log
    dotnet publish "$here/$1" -c Release -r "$(runtime)" --artifacts-path "$work/build" -o "$2" \
        -p:RunAnalyzers=false --nologo --verbosity quiet --disable-build-servers >"$log" 2>&1 || { cat "$log" >&2; fail "$1 does not build" "see above"; }
}

# What goes to a server, as it lies there. The only place that decides it. stage DIR
stage() {
    need_sdk
    say "building agentd and agentctl"
    publish agent/Daemon "$work/agentd"
    publish cli "$work/agentctl"
    mkdir -p "$1"
    cp -R "$here/packaging/root/." "$1"
    # Where Fedora's zsh looks; Debian's looks in vendor-completions.
    install -D -m 644 "$1/usr/share/zsh/vendor-completions/_agentctl" "$1/usr/share/zsh/site-functions/_agentctl"
    install -D -m 755 "$work/agentd/agentd" "$1/usr/bin/agentd"
    install -D -m 755 "$work/agentctl/agentctl" "$1/usr/bin/agentctl"
    install -D -m 755 "$here/install.sh" "$1/usr/share/agentd/install.sh"
}

# A Debian package of what stage has laid out. package DIR FILE
package() {
    need dpkg-deb=dpkg
    local version file
    version=$(sed -n 's:.*<Version>\(.*\)</Version>.*:\1:p' "$here/Directory.Build.props")
    mkdir "$1/DEBIAN"
    sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$(dpkg --print-architecture)/" "$here/packaging/deb/control" >"$1/DEBIAN/control"
    for file in postinst prerm postrm; do install -m 755 "$here/packaging/deb/$file" "$1/DEBIAN/$file"; done
    # dpkg asks before it writes over what the operator has changed.
    (cd "$1" && find etc -type f -printf '/%p\n') >"$1/DEBIAN/conffiles"
    # dpkg knows the files; the list of an installation without it would say something else.
    rm -rf "$1/usr/share/agentd"
    chmod -R u+rwX,go+rX,go-w "$1"
    dpkg-deb --build --root-owner-group "$1" "$2" >/dev/null
}

# install_from DIR
install_from() {
    [[ -x $1/usr/bin/agentd ]] || fail "$1 holds no usr/bin/agentd" "./install.sh --stage $1"
    need dbus-daemon=dbus
    ldconfig -p | grep -q 'libcrypto\.so\.3' || need libcrypto.so.3=libssl3
    say "installing"
    local file mode
    while IFS= read -r file; do
        # The operator's own files are never written over.
        [[ $file != etc/* || ! -e /$file ]] || continue
        mode=644
        [[ ! -x $1/$file ]] || mode=755
        # Beside, then renamed: a program that runs cannot be written to, and a half-written one is never started.
        install -D -m "$mode" "$1/$file" "/$file.new"
        mv -f "/$file.new" "/$file"
    done < <(cd "$1" && find . -type f -printf '%P\n')
    mkdir -p "${installed%/*}"
    (cd "$1" && find . -type f -not -path './etc/*' -printf '/%P\n' | sort) >"$installed"
    systemd-sysusers agentd.conf
    systemd-tmpfiles --create agentd.conf
    systemctl daemon-reload
    systemctl enable --quiet agentd
    # It says that it is ready after it has recovered what a stop may have cut short. Applications are units of their own.
    systemctl restart agentd || { journalctl -u agentd -n 20 --no-pager >&2; fail "agentd does not start" "see its log above"; }
    agentctl version
}

uninstall() {
    [[ -e $installed ]] || fail "agentd is not installed here" "nothing to do"
    systemctl disable --quiet --now agentd
    xargs -d '\n' rm -f <"$installed"
    rm -rf /usr/share/agentd
    rmdir --ignore-fail-on-non-empty /usr/share/doc/agentd 2>/dev/null || true
    systemctl daemon-reload
}

purge() {
    local unit releases app
    releases=$(sed -n 's/^releases: *//p' /etc/agentd/agentd.yaml 2>/dev/null || true)
    while IFS= read -r unit; do
        [[ $unit == *.d/* ]] || systemctl disable --quiet --now "${unit##*/}" || true
        rm -f "$unit"
    done < <(grep -rlsxE '# Written by agentd for .*' /etc/systemd/system)
    systemctl daemon-reload
    for app in /var/lib/agentd/generations/*/; do
        [[ -d $app ]] || continue
        app=${releases:-/srv}/$(basename "$app")
        rm -rf "$app/releases" "$app/current"
        rmdir --ignore-fail-on-non-empty "$app" "$app/shared" 2>/dev/null || true
    done
    rm -rf /etc/agentd /var/lib/agentd /run/agentd
    local group
    for group in agentd agentd-viewer agentd-admin; do groupdel "$group" 2>/dev/null || true; done
}

# --- the try-out ---

# Runs a command on the throwaway host, in /root/shop, and shows it as a person would type it.
# typed STATUS COMMAND: it fails when the command ends with another status.
typed() {
    printf '\n$ %s\n' "$2"
    local status=0
    inside "$2" || status=$?
    [[ $status == "$1" ]] || fail "that should have ended with exit status $1, not $status" "sudo ./install.sh --try --keep, and look around"
}

inside() {
    "$tool" exec "$try_host" -- env -C /root/shop AGENTCTL_STORE=/srv/store AGENTCTL_KEY_FILE=/root/keys.json AGENTCTL_APP=shop \
        GIT_CONFIG_GLOBAL=/dev/null bash -c "$1"
}

# expect TEXT COMMAND: shows the command; it fails when its output does not hold the text.
expect() {
    printf '\n$ %s\n' "$2"
    local output
    output=$(inside "$2" 2>&1 || true)
    printf '%s\n' "$output"
    grep -qF -- "$1" <<<"$output" || fail "that should have said '$1'" "sudo ./install.sh --try --keep, and look around"
}

# eventually SECONDS TEXT COMMAND: waits until the output holds the text, and shows it then.
eventually() {
    local deadline=$((SECONDS + $1))
    until inside "$3" 2>/dev/null | grep -qF -- "$2"; do
        ((SECONDS < deadline)) || break
        sleep 0.5
    done
    expect "$2" "$3"
}

try_out() {
    local begin=$SECONDS
    need dbus-daemon=dbus ip=iproute2 git=git curl=curl setpriv=util-linux
    stage "$work/root"
    say "building the sample service and the tool for throwaway hosts"
    publish tests/samples/web "$work/shop"
    dotnet build "$here/tests/testhost" --nologo --verbosity quiet --disable-build-servers >"$work/testhost.log" 2>&1 ||
        { cat "$work/testhost.log" >&2; fail "tests/testhost does not build" "see above"; }

    say "booting a throwaway host, and installing the agent on it as on a server"
    if "$tool" list | grep -q "^$try_host "; then "$tool" down "$try_host"; fi
    touch "$work/host"
    "$tool" up "$try_host"
    tar -C "$work/root" -c . | "$tool" exec "$try_host" -- sh -c 'mkdir -p /root/stage /root/shop && tar -C /root/stage -x --no-same-owner'
    printf '\n$ sudo ./install.sh\n'
    "$tool" exec "$try_host" -- bash /root/stage/usr/share/agentd/install.sh --from /root/stage

    say "a project, and a store for its releases"
    tar -C "$here/tests/samples/web" -c Program.cs agent.yaml | "$tool" exec "$try_host" -- tar -C /root/shop -x --no-same-owner
    tar -C "$work/shop" -c shop agent.yaml | "$tool" exec "$try_host" -- sh -c 'mkdir /root/shop/build && tar -C /root/shop/build -x --no-same-owner'
    inside 'echo build/ >.gitignore; git init -q -b main; git config user.name shop; git config user.email shop@localhost; git add .; git commit -qm "The shop"; git tag v1.0.0'
    printf '\n$ export AGENTCTL_STORE=/srv/store AGENTCTL_KEY_FILE=/root/keys.json AGENTCTL_APP=shop\n'
    typed 0 'agentctl store init'
    typed 0 'cp /root/root.json /etc/agentd/root.json'
    typed 0 "printf 'store: /srv/store\npoll: 5s\n' > /etc/agentd/agentd.yaml"
    typed 0 "printf 'channel: stable\n' > /etc/agentd/apps.d/shop.yaml"
    typed 0 'systemctl restart agentd'

    say "v1.0.0, deployed by command"
    typed 0 'agentctl publish build --version v1.0.0'
    typed 0 'agentctl deploy v1.0.0'
    expect 'shop v1.0.0' 'curl -s http://127.0.0.1:8080/'

    say "v1.1.0, tagged and promoted: the host pulls it by itself"
    typed 0 'git commit -q --allow-empty -m "Better" && git tag v1.1.0'
    typed 0 'agentctl publish build --tag'
    typed 0 'agentctl promote v1.1.0 --channel stable'
    eventually 60 'shop v1.1.0' 'curl -s http://127.0.0.1:8080/'
    eventually 60 'shop  v1.1.0' 'agentctl status'

    say "v1.2.0 answers 500: it is rolled back, and nobody was there"
    inside 'echo answer-500 > build/behaviour'
    typed 0 'agentctl publish build --version v1.2.0'
    typed 0 'agentctl promote v1.2.0 --channel stable'
    eventually 90 'rolled-back' 'agentctl history --limit 1'
    expect 'v1.2.0' 'agentctl why'
    expect 'shop v1.1.0' 'curl -s http://127.0.0.1:8080/'

    say "back to v1.0.0 by command"
    typed 0 'agentctl rollback'
    expect 'shop v1.0.0' 'curl -s http://127.0.0.1:8080/'
    typed 0 'agentctl health'

    say "all of it was as told, in $((SECONDS - begin)) s"
    if [[ -n $1 ]]; then
        rm "$work/host"
        cat <<END
The host stays up.
  enter it:         sudo tests/testhost/testhost shell $try_host
  cut its power:    sudo tests/testhost/testhost power-cut $try_host; sudo tests/testhost/testhost boot $try_host
  take it down:     sudo tests/testhost/testhost down $try_host
END
    fi
}

# tests/run.sh takes the functions from here.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
