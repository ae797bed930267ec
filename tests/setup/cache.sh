# shellcheck shell=bash
# The cache of downloads and builds of the test setup. Sourced, never run.

cache=${CAS_CACHE:-$HOME/.cache/claude-auth-sync}
mkdir -p "$cache"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# Waits for the lock NAME of the cache and holds it until the script ends, so that two runs never build the same file.
take_lock() {
    exec {lock}>"$cache/$1.lock"
    flock -w 1800 "$lock" || { say "another run has held $cache/$1.lock for half an hour"; exit 1; }
}
