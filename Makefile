# The thin front of claude-auth-sync. Everything behind it is cargo and the scripts in tests/bed/ and packaging/.

.DEFAULT_GOAL := help
.PHONY: help demo deb test test-deps check build reproducible bench picture clean root cargo

export PATH := $(PATH):$(HOME)/.cargo/bin

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: root cargo ## boot a Debian, let Claude Code lose somebody's login, log in by ssh: it works again
	@tests/bed/host-packages.sh
	@tests/bed/claude >/dev/null
	@tests/bed/rootfs.sh bookworm >/dev/null
	@packaging/deb.sh >/dev/null
	@cargo run --quiet --locked -p cas-tests --bin demo

deb: cargo ## the Debian package; installs what that needs, and prints where it is
	@tests/bed/host-packages.sh package
	@packaging/deb.sh

test: test-deps check ## everything: checks, release build, and all suites against real components
	packaging/deb.sh
	cargo nextest run --locked --workspace

test-deps: root cargo ## install what the suites need (idempotent; one second when all is there)
	@tests/bed/host-packages.sh
	@tests/bed/nextest.sh
	@tests/bed/openbao.sh
	@tests/bed/prometheus.sh >/dev/null
	@tests/bed/claude >/dev/null
	@tests/bed/claude 2.1.197 >/dev/null
	@tests/bed/claude 2.1.332 >/dev/null
	@tests/bed/rootfs.sh bookworm >/dev/null
	@tests/bed/rootfs.sh trixie >/dev/null

check: cargo ## format, lints, forbidden dependencies, shell scripts
	cargo fmt --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	tests/bed/forbidden-dependencies.sh
	cargo run --quiet --locked -p xtask -- lint
	git ls-files -z '*.sh' ':(glob)tests/bed/*' .ci/run packaging/debian/p* packaging/user-environment-generator | xargs -0 shellcheck --external-sources

build: cargo ## the release build that the package is made of
	packaging/build.sh

bench: test-deps ## what a login and a sync cost without us, with us, and with a script in our place; and the watcher
	@packaging/deb.sh >/dev/null
	cargo run --quiet --locked -p cas-tests --bin login-cost
	cargo run --quiet --locked -p cas-tests --bin sync-cost
	cargo run --quiet --locked -p cas-tests --bin watch-repair-times

picture: root cargo ## draw the dashboard into docs/admin/dashboard.png, with Grafana's own components and a real Prometheus
	@tests/bed/host-packages.sh picture
	@packaging/build.sh
	@tests/bed/dashboard-picture/draw.sh

reproducible: cargo ## build and pack twice, in two places: the packages are the same, byte for byte (some minutes)
	@tests/bed/host-packages.sh package
	@packaging/reproducible.sh

clean: cargo ## remove what cargo built (the cache in ~/.cache/claude-auth-sync stays)
	cargo clean

root:
	@[ "$$(id -u)" = 0 ] || { echo "This boots Debian guests, which needs root: sudo --preserve-env=PATH,HOME make $(MAKECMDGOALS)" >&2; exit 1; }

cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing. Use the installer at https://rustup.rs: 1.88 or later is needed, and Debian 13 has 1.85." >&2; exit 1; }
