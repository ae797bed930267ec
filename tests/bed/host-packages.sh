#!/bin/bash
# Installs the Debian packages that the build and the suites need on this machine, when one is missing. When none is,
# it asks dpkg and ends at once, without network.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "${0%/*}/cache.sh"

packages=(
    gcc libc6-dev binutils libpam0g-dev pkg-config     # the module links libpam, and a suite looks into it
    shellcheck                                         # make check
    mmdebstrap debian-archive-keyring zstd             # the guests' root filesystems
    systemd-container util-linux mount openssh-client  # booting them and logging in to them
    python3-pip curl openssl                           # the OpenBao server and its admin
    scdoc man-db                                       # the manual pages
    strace valgrind jq                                 # killing at every system call, counting, and the former script
)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

take_lock host-packages
say "installing ${missing[*]}"
apt=(apt-get -q -o DPkg::Lock::Timeout=600)
install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
env DEBIAN_FRONTEND=noninteractive "${install[@]}" >&2 || {
    "${apt[@]}" update >&2
    env DEBIAN_FRONTEND=noninteractive "${install[@]}" >&2
}
