#!/bin/bash
# product-layer.sh SUITE PACKAGE - provides the root filesystem of a guest with the package installed: a read-only
# overlay layer over that of rootfs.sh. Makes it when it is missing. Prints its folder, and that of rootfs.sh. Needs root.
#
# dpkg installs the package in a booted guest, so that the maintainer scripts have run with systemd, and the guest is then
# halted cleanly. claude-auth-sync.target is masked before, as an administrator pauses a host, and stays masked.
#
# The folder's name contains a hash of the package, of the root filesystem, and of this script.
set -euo pipefail
here=$(cd "${0%/*}" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"

suite=${1:?usage: product-layer.sh bookworm|trixie PACKAGE} package=${2:?the package is missing}
rootfs=$("$here/rootfs.sh" --where "$suite") ||
    { say "the root filesystem of $suite is missing or out of date: run \`make test-deps\`"; exit 1; }
hash=$({ echo "$rootfs"; cat "$package" "$here/product-layer.sh"; } | sha256sum | cut -c1-16)
layer=$cache/product-$suite-$hash

if [ -e "$layer/complete" ]; then printf '%s\n' "$layer" "$rootfs"; exit 0; fi

inside() {
    nsenter "--target=$leader" --mount --uts --ipc --net --pid --cgroup -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

boot() { # FOLDER: receives the files that the guest has written, once it is halted
    local word
    coproc guest { GUEST_KEEP=$1 exec "$here/guest.sh" "$rootfs/root" "cas-layer-$suite-$$"; }
    exec {answers}<&"${guest[0]}" {lifeline}>&"${guest[1]}"
    # shellcheck disable=SC2154 # coproc sets it
    supervisor=$guest_PID
    eval "exec ${guest[0]}<&- ${guest[1]}>&-"
    read -r word _ <&"$answers" && [ "$word" = folder ] && read -r word leader <&"$answers" && [ "$word" = leader ]
    for _ in {1..1500}; do
        if [ "$(inside systemctl is-system-running --wait 2>/dev/null || true)" = running ]; then return; fi
        sleep 0.04
    done
    say "the $suite guest does not come up"
    return 1
}

install() {
    inside systemctl mask --no-reload --quiet claude-auth-sync.target
    inside sh -c 'cat >/root/package.deb' <"$package"
    # Without syncing the disk: the files are copied again, or all discarded.
    inside dpkg --force-unsafe-io --force-confold --install /root/package.deb
    inside rm /root/package.deb
    # pam-auth-update exits with 0 also when it changes nothing.
    inside grep -q '^[^#]*pam_cas_session\.so' /etc/pam.d/common-session
}

halt() {
    exec {lifeline}>&- {answers}<&-
    wait "$supervisor"
}

take_lock "product-$suite"
if [ ! -e "$layer/complete" ]; then
    work=$(mktemp -d "$cache/product-$suite.XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    say "installing the package in a $suite guest"
    boot "$work/root"
    install >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
    halt
    # A guest must not boot with a journal or timer stamps of another boot.
    rm -rf "$work/root"/var/log/journal/* "$work/root"/var/lib/systemd/timers/stamp-*
    chmod 755 "$work"
    touch "$work/complete"
    # Layers of earlier packages are removed once no guest can be running on them.
    find "$cache" -maxdepth 1 -name "product-$suite-*" -mmin +600 -exec rm -rf --one-file-system {} +
    rm -rf --one-file-system "$layer"
    mv "$work" "$layer"
fi
printf '%s\n' "$layer" "$rootfs"
