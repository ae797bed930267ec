#!/bin/bash
# Provides cargo-nextest: the one already installed, else this version, compiled from crates.io (about two minutes on two
# cores). It is built without optimization, because it only starts tests.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "${0%/*}/cache.sh"

version=0.9.100

if cargo nextest --version >/dev/null 2>&1; then exit 0; fi
command -v cargo >/dev/null || { say "cargo is missing: see https://rustup.rs, or on Debian 13 'apt install cargo'"; exit 1; }

take_lock nextest
if cargo nextest --version >/dev/null 2>&1; then exit 0; fi
say "compiling cargo-nextest $version"
# Its own directory, so that neither the target directory nor the settings of this workspace are used.
cd "$cache"
export CARGO_TARGET_DIR=$cache/nextest-build
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
cargo install --quiet --locked --version "$version" --no-default-features --features default-no-update cargo-nextest
rm -rf "$CARGO_TARGET_DIR"
