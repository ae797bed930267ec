#!/bin/sh
# Packs the build and prints the path of the package: packaging/pack.sh DIRECTORY
#
#   RELEASE     the directory with the output of packaging/build.sh
#   GENERATED   the directory with the output of the xtask
#
# It packs a temporary copy, so that nothing is left beside the sources and concurrent runs do not
# interfere. The same content results in the same bytes on every machine.
set -eu
into=$(mkdir -p "$1" && cd "$1" && pwd -P)
RELEASE=$(cd "$RELEASE" && pwd -P)
GENERATED=$(cd "$GENERATED" && pwd -P)
export RELEASE GENERATED
cd "$(dirname "$0")/.."

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -R debian packaging docs ./*.md "$tree"
# What dpkg-buildpackage sets. That program would leave the package beside the sources.
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog --show-field Timestamp --file debian/changelog)
export SOURCE_DATE_EPOCH DEB_RULES_REQUIRES_ROOT=no
if ! (cd "$tree" && debian/rules clean binary PACKED="$tree" >"$tree/output" 2>&1); then
    cat "$tree/output" >&2
    exit 1
fi
for made in "$tree"/*.deb; do
    mv "$made" "$into"
    echo "$into/${made##*/}"
done
