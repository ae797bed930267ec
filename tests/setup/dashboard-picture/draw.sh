#!/bin/bash
# Draws packaging/grafana/claude-auth.json into docs/admin/dashboard.png: Grafana's own components, in a real browser, with the answers
# of a real Prometheus. The metrics are those of the release build's `cas-sync metrics` in the course of a day (day.js).
# Needs root, the packages of `host-packages.sh picture`, and npm.
set -euo pipefail
here=$(cd "${0%/*}" && pwd)
# shellcheck source-path=SCRIPTDIR source=../cache.sh
. "$here/../cache.sh"
root=$(cd "$here/../../.." && pwd)

programs=$("$here/../prometheus.sh")
lock=$(sha256sum "$here/package-lock.json")
home=$cache/dashboard-picture-${lock:0:12}
take_lock dashboard-picture
if [ ! -e "$home/complete" ]; then
    say "installing Grafana's components into $home"
    rm -rf "$cache"/dashboard-picture-*
    mkdir "$home"
    cp "$here"/{package.json,package-lock.json,.npmrc} "$home"
    (cd "$home" && npm ci --ignore-scripts --no-audit --no-fund) >&2
    touch "$home/complete"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work here
export NODE_PATH=$home/node_modules
export CAS_SYNC=${CARGO_TARGET_DIR:-$root/target}/release/cas-sync
FAKETIME_LIBRARY=$(dpkg -L libfaketime | grep '/libfaketime\.so\.1$')
export FAKETIME_LIBRARY
now=$(date --utc --date='2026-03-17 18:20' +%s)
export now

# In a private mount namespace, where the accounts and states of this machine are hidden.
collect() {
    mount -t tmpfs tmpfs /var/lib
    touch "$work/passwd"
    mount --bind "$work/passwd" /etc/passwd
    node "$here/day.js" "$now"
}
export -f collect
say "collecting the metrics of a day"
unshare --mount --propagation private bash -euc collect >"$work/metrics"
mkdir "$work/data"
"$programs/promtool" tsdb create-blocks-from openmetrics "$work/metrics" "$work/data" >/dev/null
say "drawing"
PROMETHEUS=$programs/prometheus CHROMIUM=$(command -v chromium) \
    node "$here/picture.js" "$root/packaging/grafana/claude-auth.json" "$work/data" "$now" "$root/docs/admin/dashboard.png"
