#!/bin/bash
# Installs the Debian packages that are needed on this machine, when one is missing. When none is, it asks dpkg and ends at
# once, without network.
#
#   host-packages.sh           what the build, our package and the suites need
#   host-packages.sh package   what the build and our package need
#   host-packages.sh picture   what the build and the picture of the dashboard need
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "${0%/*}/cache.sh"

packages=(
    gcc libc6-dev libpam0g-dev     # the module links libpam
    debhelper scdoc lintian        # our package, its manual pages, what Debian thinks of it
)
for_suites=(
    binutils man-db                                    # suites look into the programs and the manual pages
    shellcheck                                         # make check
    mmdebstrap debian-archive-keyring zstd             # the guests' root filesystems
    systemd-container util-linux mount openssh-client  # booting them and logging in to them
    iproute2                                           # networks of their own
    python3-pip curl openssl                           # the OpenBao server and its admin
    scdoc man-db                                       # the manual pages
    strace valgrind jq                                 # killing at every system call, counting, and the former script
)
for_picture=(
    chromium libfaketime util-linux  # a browser, the hours of a day within seconds, and mounts of its own
)
# Whoever has node from elsewhere has npm with it, and Debian's would not go along.
command -v npm >/dev/null || for_picture+=(npm)
case ${1:-} in
package) ;;
picture) packages+=("${for_picture[@]}") ;;
*) packages+=("${for_suites[@]}") ;;
esac

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    say "missing here: ${missing[*]}. As root: apt install ${missing[*]}"
    exit 1
fi
take_lock host-packages
say "installing ${missing[*]}"
apt=(apt-get -q -o DPkg::Lock::Timeout=600)
install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
env DEBIAN_FRONTEND=noninteractive "${install[@]}" >&2 || {
    "${apt[@]}" update >&2
    env DEBIAN_FRONTEND=noninteractive "${install[@]}" >&2
}
