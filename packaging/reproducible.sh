#!/bin/bash
# Builds and packs the sources twice: in folders of different names and depths, in different time zones and languages, with
# different masks for new files, homes and numbers of jobs. Fails when the two packages differ in a single byte; prints
# their hash. Nothing of an earlier build takes part, so this takes some minutes.
set -euo pipefail
cd "${0%/*}/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}

copy() { # FOLDER: what would be committed
    mkdir -p "$1"
    git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- --create --ignore-failed-read --file=- 2>/dev/null |
        tar --extract --no-same-owner --directory="$1"
}
package() { # SOURCES HOME SETTING...: prints where it is
    mkdir -p "$2"
    (cd "$1" && env --unset=CARGO_TARGET_DIR CARGO_HOME="$cargo_home" RUSTUP_HOME="$rustup_home" HOME="$2" "${@:3}" packaging/deb.sh)
}

one=$work/one another=$work/another/one/of/them
(umask 022 && copy "$one")
(umask 077 && copy "$another")
first=$(umask 022 && package "$one" "$work/home" TZ=UTC LC_ALL=C CARGO_BUILD_JOBS=2)
second=$(umask 077 && package "$another" "$work/another home" TZ=Asia/Kathmandu LC_ALL=C.UTF-8 LANGUAGE=de CARGO_BUILD_JOBS=1)

if ! cmp "$first" "$second"; then
    for package in "$first" "$second"; do dpkg-deb --raw-extract "$package" "$package.d"; done
    diff --recursive --brief "$first.d" "$second.d" || true
    exit 1
fi
sha256sum "$first" | sed "s|$work.*/||"
