#!/bin/sh
# Packs what was built, and prints where the package is: packaging/pack.sh FOLDER
#
#   RELEASE     the folder with what packaging/build.sh made
#   GENERATED   the folder with what the xtask made
#
# This happens in a copy of what is packed, which is gone afterwards: nothing is left beside the sources, and two at a time
# do not meet. The same content makes the same bytes, wherever, whenever and by whomever it is packed.
set -eu
into=$(mkdir -p "$1" && cd "$1" && pwd -P)
RELEASE=$(cd "$RELEASE" && pwd -P)
GENERATED=$(cd "$GENERATED" && pwd -P)
export RELEASE GENERATED
cd "$(dirname "$0")/.."

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -R debian packaging docs ./*.md "$tree"
# As dpkg-buildpackage does, which would leave the package beside the sources.
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog --show-field Timestamp --file debian/changelog)
export SOURCE_DATE_EPOCH DEB_RULES_REQUIRES_ROOT=no
if ! (cd "$tree" && debian/rules clean binary PACKED="$tree" >"$tree/said" 2>&1); then
    cat "$tree/said" >&2
    exit 1
fi
for made in "$tree"/*.deb; do
    mv "$made" "$into"
    echo "$into/${made##*/}"
done
