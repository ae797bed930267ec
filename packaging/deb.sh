#!/bin/sh
# Creates the Debian package of this machine's architecture from the release build, checks it with
# lintian, and prints its path. The package is in target/debian, beside built/ (the programs in it)
# and files/ (what it installs). Without changes this takes a second.
#
# CAS_PROFILE=ci uses the build of that profile and the directory target/debian-ci, and skips
# lintian.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$(pwd -P)/target}
profile=${CAS_PROFILE:-release}
if [ "$profile" = release ]; then place=$target/debian; else place=$target/debian-$profile; fi
built=$target/$profile
export RELEASE="$place/built" GENERATED="$place/generated"

packaging/build.sh >&2
cargo run --quiet --locked --package xtask -- "$GENERATED" >&2

# Two concurrent runs would remove each other's package.
exec 9>"$place/lock"
flock -w 600 9

content() {
    dpkg-query --show debhelper dpkg-dev lintian scdoc
    dpkg --print-architecture
    find ./*.md docs packaging "$GENERATED" \
        "$built/libpam_cas.so" "$built/cas-session" "$built/cas-sync" -type f -exec sha256sum {} + | sort
}
stamp=$(content | sha256sum)
if [ "$(cat "$place/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -f "$place/stamp" "$place"/*.deb
    # A later build with other features or flags replaces the programs that cargo has put there.
    rm -rf "$RELEASE"
    mkdir -p "$RELEASE"
    cp "$built/libpam_cas.so" "$built/cas-session" "$built/cas-sync" "$RELEASE"
    package=$(packaging/pack.sh "$place")
    # Without --allow-root lintian warns when it runs as root.
    if [ "$profile" = release ]; then lintian --allow-root --fail-on error,warning "$package" >&2; fi
    # For the suites that read its files.
    rm -rf "$place/files"
    dpkg-deb --extract "$package" "$place/files"
    echo "$stamp" >"$place/stamp"
fi
ls "$place"/*.deb
