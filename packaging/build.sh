#!/bin/sh
# Builds what is installed, into target/release (or CARGO_TARGET_DIR). When all is fresh it costs a third of a second.
# With arguments it runs them instead, in the environment of that build: whoever links the same crates need not build them
# again.
# DEB_HOST_RUST_TYPE, where it names another kind of machine, is built for instead, into target/THAT/release.
set -eu
cd "$(dirname "$0")/.."

machine=$(rustc -vV | sed -n 's/^host: //p')
for_machine=${DEB_HOST_RUST_TYPE:-$machine}
is_cross() { [ "$for_machine" != "$machine" ]; }
setting() { echo "CARGO_TARGET_$(echo "$for_machine" | tr 'a-z-' 'A-Z_')_$1"; }

# Where this was built is nobody's business, and would make each build another one: the places of our sources, of other
# people's crates (in a folder named after the registry), and of Rust's own library become the same for everybody.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
if [ ! -d "$cargo_home/registry/src" ]; then cargo fetch --locked; fi
target=${CARGO_TARGET_DIR:-$(pwd -P)/target}
flags="--remap-path-prefix=$target=/usr/src/target --remap-path-prefix=$(pwd -P)=/usr/src/claude-auth-sync"
for crates in "$cargo_home"/registry/src/*; do
    flags="$flags --remap-path-prefix=$crates=/usr/src/crates"
done
toolchain=$(rustc --print sysroot)
flags="$flags --remap-path-prefix=$toolchain/lib/rustlib/src/rust=/usr/src/rust"
# The flags of this kind of machine, which are joined with those of RUSTFLAGS' other places, and replace none.
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
cargo build --locked --release -p pam_cas -p cas-session -p cas-sync "$@"
