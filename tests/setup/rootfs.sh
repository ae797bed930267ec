#!/bin/bash
# Provides the root filesystem of a guest: a small Debian with systemd, sshd, login, su, sudo, cron, tmux, and the users
# of the scenarios.
#
#   rootfs.sh SUITE           make it if it is missing; print its folder
#   rootfs.sh --where SUITE   print its folder, or fail when it is missing or out of date
#
# The folder holds root/ (the filesystem), key and key.pub (the ssh key of all users in this guest). Its name contains a
# hash of its inputs, so a change of this script or of users.sh makes a new one. The packages come from the Debian mirror
# this machine is configured with; neither the guest nor the cache stores its name. Needs root.
set -euo pipefail
here=$(cd "${0%/*}" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"

where=false
if [ "${1:-}" = --where ]; then where=true; shift; fi
suite=${1:?usage: rootfs.sh [--where] bookworm|trixie}

packages=(
    systemd systemd-sysv dbus dbus-user-session libpam-systemd libnss-systemd libpam-modules
    openssh-server openssh-client openssh-sftp-server
    login passwd sudo cron pamtester
    bash zsh fish tmux screen
    rsync git iproute2 nftables procps psmisc strace util-linux
    exim4-daemon-light bsd-mailx msmtp
)

download_recipe() { # the inputs of the download
    sed -n '/^packages=(/,/^)/p; /^bootstrap()/,/^}/p' "$here/rootfs.sh"
    echo "$suite $(dpkg --print-architecture)"
}
short_hash() { sha256sum | cut -c1-12; }

tarball=$cache/$suite-$(download_recipe | short_hash).tar.zst
folder=$cache/$suite-$({ download_recipe; cat "$here/users.sh"; } | short_hash)

if [ -e "$folder/complete" ]; then echo "$folder"; exit 0; fi
if $where; then exit 1; fi

# The lines of a sources.list for the suite, from this machine's sources in any format, of Debian's archives only.
# shellcheck disable=SC2016 # the names in the format are those of apt
sources() {
    apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(COMPONENT)' 'Created-By: Packages' |
        awk -F'|' -v suite="$suite" '
            $1 != "Debian" || $4 != "main" || $3 ~ /^cdrom:/ { next }
            $2 ~ /-(backports|proposed)/ { next }
            { pocket = $2; sub(/^[a-z]+/, suite, pocket)
              print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " $3 " " pocket " main" }' |
        sort -u
}

bootstrap() {
    local apt=() line
    # A frozen mirror or a proxy needs the settings this machine's apt has for them.
    while read -r line; do apt+=(--aptopt="$line"); done \
        < <(apt-config dump | grep -E '^Acquire::(Check-|https?::|Retries)' | grep -v ' "";$')
    # shellcheck disable=SC2016 # $1 is the hook's own
    mmdebstrap --quiet --mode=root --format=tar --variant=minbase "${apt[@]}" \
        --include="$(IFS=,; echo "${packages[*]}")" \
        --customize-hook='rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap' \
        --customize-hook='rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/var/cache/apt/*' \
        --customize-hook='rm -f "$1"/etc/resolv.conf' \
        "$suite" - "$1" | zstd -q -3 -o "$tarball.part" -f
    mv "$tarball.part" "$tarball"
}

take_lock "$suite"
if [ ! -e "$folder/complete" ]; then
    work=$(mktemp -d "$cache/$suite.XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    if [ ! -s "$tarball" ]; then
        say "downloading $suite"
        sources >"$work/sources.list"
        if [ ! -s "$work/sources.list" ]; then
            apt-get -q update >&2
            sources >"$work/sources.list"
        fi
        [ -s "$work/sources.list" ] || { say "apt of this machine has no archive of Debian"; exit 1; }
        bootstrap "$work/sources.list" >&2
    fi
    mkdir -p "$work/new/root"
    tar -C "$work/new/root" --zstd -xf "$tarball"
    "$here/users.sh" "$work/new" >&2
    touch "$work/new/complete"
    # Directories of earlier inputs are removed once no guest can be running on them.
    find "$cache" -maxdepth 1 -name "$suite-*" -mtime +7 ! -path "$tarball" -exec rm -rf --one-file-system {} +
    rm -rf --one-file-system "$folder"
    mv "$work/new" "$folder"
fi
echo "$folder"
