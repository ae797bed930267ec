#!/bin/bash
# Installs the required Debian packages if one is missing. Otherwise it only asks dpkg, without network.
#
#   host-packages.sh           packages for the build, the Debian package and the suites
#   host-packages.sh package   packages for the build and the Debian package
#   host-packages.sh picture   packages for the build and the picture of the dashboard
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "${0%/*}/cache.sh"

packages=(
    gcc libc6-dev libpam0g-dev     # the module links libpam
    debhelper scdoc lintian        # the Debian package, its manual pages, Debian's checks
)
for_suites=(
    binutils man-db                                    # suites that examine the programs and the manual pages
    shellcheck                                         # make check
    mmdebstrap debian-archive-keyring zstd             # the guests' root filesystems
    systemd-container util-linux mount openssh-client  # booting them and logging in to them
    iproute2                                           # isolated networks
    fscrypt e2fsprogs                                  # an encrypted home
    python3-pip curl openssl                           # the OpenBao server and its administration
    scdoc man-db                                       # the manual pages
    strace valgrind jq                                 # killing at every system call, counting, and the legacy script
)
for_picture=(
    chromium libfaketime util-linux  # a browser, a simulated clock, and private mounts
)
# A node from another source includes npm, and Debian's npm conflicts with it.
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
