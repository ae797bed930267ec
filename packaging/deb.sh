#!/bin/sh
# Makes the Debian package of this machine's architecture out of the release build, has it checked by lintian, and prints
# where it is. Where nothing of it has changed since, that takes a second.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$(pwd -P)/target}
place=$target/debian

packaging/build.sh >&2
export RELEASE="$target/release" GENERATED="$place/generated"
cargo run --quiet --locked --package xtask -- "$GENERATED" >&2

# Two at a time would both pack, and one would move the other's package away.
exec 9>"$place/lock"
flock -w 600 9

content() {
    dpkg-query --show debhelper dpkg-dev lintian scdoc
    dpkg --print-architecture
    find ./*.md docs packaging "$GENERATED" \
        "$RELEASE/libpam_cas.so" "$RELEASE/cas-session" "$RELEASE/cas-sync" -type f -exec sha256sum {} + | sort
}
stamp=$(content | sha256sum)
if [ "$(cat "$place/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -f "$place/stamp" "$place"/*.deb
    package=$(packaging/pack.sh "$place")
    # As root it would complain of that.
    lintian --allow-root --fail-on error,warning "$package" >&2
    # For the suites that look into it.
    rm -rf "$place/files"
    dpkg-deb --extract "$package" "$place/files"
    echo "$stamp" >"$place/stamp"
fi
ls "$place"/*.deb
