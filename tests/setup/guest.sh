#!/bin/bash
# guest.sh ROOT NAME [OPTION...] - boots one temporary Debian over ROOT and runs it as long as its standard input
# stays open. ROOT is one folder, or several layers, the uppermost first, separated by colons. Each OPTION is an option of
# systemd-nspawn, such as --bind-ro=.
#
# Prints two lines, `folder PATH` and `leader PID` (the process id of the guest's PID 1 on this machine), then waits.
# When the input ends, because its owner has finished or was killed, the guest is killed, and its folder is removed. PATH
# has console.log and upper/ (the files that the guest has written) until then. With GUEST_KEEP=FOLDER in the environment, the guest is
# halted cleanly, and upper/ becomes FOLDER instead of being removed.
#
# Needs root. Works with and without systemd as this machine's own PID 1, with cgroup v2 alone or beside v1: nspawn
# does not register itself (--register=no --keep-unit) and gets its own control group, because it creates payload/ and
# supervisor/ next to its caller, where two guests would collide.
set -euo pipefail
root=$1 name=$2
options=("${@:3}")

# A private mount namespace: the overlay and nspawn's own mounts end with the last process that uses them.
if [ -z "${GUEST_NAMESPACE:-}" ]; then
    exec env GUEST_NAMESPACE=private unshare --mount --propagation private -- "$0" "$@"
fi

guests=/var/tmp/claude-auth-sync-guests
folder=$guests/$name
halt_within=10 # seconds for a clean shutdown

control_groups() { # NAME: one in each hierarchy that takes processes
    local hierarchy
    for hierarchy in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup; do
        if [ -e "$hierarchy/cgroup.procs" ]; then echo "$hierarchy/cas-guest-$1"; fi
    done
}

remove_every_trace() { # NAME: kills remaining processes and deletes; harmless if there is nothing
    local group _
    for group in $(control_groups "$1"); do
        [ -d "$group" ] || continue
        if [ -e "$group/cgroup.kill" ]; then echo 1 >"$group/cgroup.kill"; fi
        for _ in {1..250}; do
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [ -d "$group" ] || break
            sleep 0.02
        done
    done
    umount --lazy "$guests/$1/merged" 2>/dev/null || true
    rm -rf --one-file-system "${guests:?}/$1"
}

halt() {
    local tick
    trap '' TERM INT HUP
    if [ -n "${nspawn:-}" ] && kill -0 "$nspawn" 2>/dev/null; then
        # Only a kept folder must be complete.
        if [ -n "${leader:-}" ] && [ -z "${GUEST_KEEP:-}" ]; then
            kill -KILL "$leader" 2>/dev/null || true
        else
            kill -TERM "$nspawn" 2>/dev/null || true
        fi
        for ((tick = 0; tick < halt_within * 50; tick++)); do
            kill -0 "$nspawn" 2>/dev/null || break
            sleep 0.02
        done
    fi
    [ -z "${owner:-}" ] || kill "$owner" 2>/dev/null || true
    if [ -n "${GUEST_KEEP:-}" ] && umount "$folder/merged"; then mv "$folder/upper" "$GUEST_KEEP"; fi
    remove_every_trace "$name"
}

# Under the lock: leftovers of killed supervisors are removed, and this folder is marked as in use. The mark is a lock on
# a descriptor that neither nspawn nor the watcher inherits, so it ends with this script in every case.
install -d -m 700 "$guests"
exec {registry}>"$guests/.lock"
flock -w 60 "$registry"
for other in "$guests"/*/alive; do
    if [ -e "$other" ] && flock -n "$other" true; then
        other=${other%/alive}
        remove_every_trace "${other##*/}"
    fi
done
mkdir "$folder" "$folder"/{upper,work,merged}
exec {alive}>"$folder/alive"
flock -n "$alive"
exec {registry}>&-
trap halt EXIT
trap 'exit 1' TERM INT HUP

chmod 755 "$folder/upper" # becomes the guest's /
mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged"
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
groups=$(control_groups "$name")

(
    exec {alive}>&-
    for group in $groups; do
        mkdir "$group"
        echo $BASHPID >"$group/cgroup.procs"
    done
    # A pure cgroup v2 tree inside, on any machine. Landlock is allowed: nspawn's own filter would reject it.
    exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --boot \
        --directory="$folder/merged" --machine="$name" --hostname=guest \
        --register=no --keep-unit --kill-signal=SIGRTMIN+3 \
        --private-network --resolv-conf=off --timezone=off --link-journal=no --console=read-only \
        --system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
        --setenv=SYSTEMD_PROC_CMDLINE='systemd.log_color=0 systemd.show_status=no' \
        "${options[@]}"
) </dev/null >"$folder/console.log" 2>&1 &
nspawn=$!

exec {input}<&0 </dev/null
cat <&"$input" >/dev/null 2>&1 {alive}>&- &
owner=$!
exec {input}<&-

leader=
for _ in {1..750}; do
    # A process can end between the listing and the read: then there is nothing to read.
    for list in "/proc/$nspawn"/task/*/children; do
        children=()
        { read -r -a children <"$list" || true; } 2>/dev/null
        for child in "${children[@]}"; do
            comm=
            { read -r comm <"/proc/$child/comm" || true; } 2>/dev/null
            if [ "$comm" = systemd ]; then leader=$child; fi
        done
    done
    if [ -n "$leader" ] || ! kill -0 "$nspawn" 2>/dev/null; then break; fi
    sleep 0.02
done
if [ -z "$leader" ]; then
    cat "$folder/console.log" >&2
    exit 1
fi
printf 'folder %s\nleader %s\n' "$folder" "$leader"
exec >/dev/null

wait -n "$owner" "$nspawn" || true
