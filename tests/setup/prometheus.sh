#!/bin/bash
# Provides Prometheus, its promtool and the node exporter from Debian's packages: unpacked into the cache, not installed,
# so that no service of them runs. Needs an apt with Debian's archive.
#
#   prometheus.sh           provide them if they are missing; print the folder of the programs
#   prometheus.sh --where   print it, or fail when they are missing
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "${0%/*}/cache.sh"

home=$cache/prometheus-2
if [ -e "$home/complete" ]; then echo "$home/usr/bin"; exit 0; fi
if [ "${1:-}" = --where ]; then say "promtool is missing: run \`make test-deps\`"; exit 1; fi
take_lock prometheus
if [ ! -e "$home/complete" ]; then
    work=$(mktemp -d "$cache/prometheus.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # apt downloads as its own user.
    chmod 755 "$work"
    mkdir -m 777 "$work/packages" "$work/tree"
    say "unpacking Prometheus, promtool and the node exporter into $home"
    packages=(prometheus prometheus-node-exporter)
    (cd "$work/packages" && { apt-get -q download "${packages[@]}" || { apt-get -q update && apt-get -q download "${packages[@]}"; }; }) >&2
    for package in "$work"/packages/*.deb; do dpkg-deb --extract "$package" "$work/tree"; done
    find "$work/tree" -type f ! -path '*/bin/prometheus' ! -path '*/bin/promtool' ! -path '*/bin/prometheus-node-exporter' -delete
    touch "$work/tree/complete"
    rm -rf "$home"
    mv "$work/tree" "$home"
fi
echo "$home/usr/bin"
