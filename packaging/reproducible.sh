#!/bin/bash
# Builds and packs the sources twice, with different directories, time zones, languages, file modes,
# homes and numbers of jobs. Fails if the two packages differ in a single byte; prints their hash.
# No earlier build is used, so this takes some minutes.
set -euo pipefail
cd "${0%/*}/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}

copy() { # DIRECTORY: copies what would be committed
    mkdir -p "$1"
    git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- --create --ignore-failed-read --file=- 2>/dev/null |
        tar --extract --no-same-owner --directory="$1"
}
package() { # SOURCES HOME SETTING...: prints the path of the package
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
