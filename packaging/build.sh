#!/bin/sh
# Builds the installed programs into target/release (or CARGO_TARGET_DIR). Without changes this
# takes a third of a second. CAS_PROFILE selects another cargo profile, and its directory: `ci` is
# for suites that do not inspect the programs. With arguments it runs them instead, in the
# environment of that build, so that the same crates are not built again. DEB_HOST_RUST_TYPE selects
# another architecture, which is built into target/DEB_HOST_RUST_TYPE/release.
set -eu
cd "$(dirname "$0")/.."

machine=$(rustc -vV | sed -n 's/^host: //p')
for_machine=${DEB_HOST_RUST_TYPE:-$machine}
is_cross() { [ "$for_machine" != "$machine" ]; }
setting() { echo "CARGO_TARGET_$(echo "$for_machine" | tr 'a-z-' 'A-Z_')_$1"; }

# Paths of the build machine would make each build different. The paths of these sources, of the
# crates (in a directory named after the registry) and of Rust's library are replaced by fixed ones.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
if [ ! -d "$cargo_home/registry/src" ]; then cargo fetch --locked; fi
target=${CARGO_TARGET_DIR:-$(pwd -P)/target}
flags="--remap-path-prefix=$target=/usr/src/target --remap-path-prefix=$(pwd -P)=/usr/src/claude-auth-sync"
for crates in "$cargo_home"/registry/src/*; do
    flags="$flags --remap-path-prefix=$crates=/usr/src/crates"
done
toolchain=$(rustc --print sysroot)
flags="$flags --remap-path-prefix=$toolchain/lib/rustlib/src/rust=/usr/src/rust"
# The flags of this architecture. Cargo joins them with the flags of other sources of RUSTFLAGS.
name=$(setting RUSTFLAGS)
eval "earlier=\${$name:-}"
export "$name=${earlier:+$earlier }$flags"
if is_cross; then
    linker=$(setting LINKER)
    eval "chosen=\${$linker:-}"
    export "$linker=${chosen:-$(echo "$for_machine" | sed 's/-unknown-/-/')-gcc}"
fi

if [ $# != 0 ]; then exec "$@"; fi
if is_cross; then set -- --target "$for_machine"; fi
cargo build --locked --profile "${CAS_PROFILE:-release}" -p pam_cas -p cas-session -p cas-sync "$@"
