#!/bin/bash
# Fails when a crate that must never be linked is in the tree, for any target and any feature: the only cryptography is
# that of ring.
set -euo pipefail

tree=$(cargo tree --locked --workspace --all-features --target all --edges normal,build --prefix none --format '{p}')
if found=$(grep -E '^(aws-lc-rs|aws-lc-sys|openssl|openssl-sys|native-tls) ' <<<"$tree"); then
    printf 'forbidden in the dependency tree: %s\n' "$found" >&2
    echo "find its dependents with: cargo tree --workspace --target all --invert NAME" >&2
    exit 1
fi

# cas-core decides and stores files; cas-vault uses the network.
tree=$(cargo tree --locked -p cas-core --target all --edges normal,build --prefix none --format '{p}')
if found=$(grep -E '^(reqwest|hyper|rustls|tokio) ' <<<"$tree"); then
    printf 'network code in the dependency tree of cas-core: %s\n' "$found" >&2
    exit 1
fi
