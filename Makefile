# Entry points of claude-auth-sync. They call cargo and the scripts in tests/setup/ and packaging/.

.DEFAULT_GOAL := help
.PHONY: help demo deb test test-all suites test-deps check build reproducible bench picture clean root cargo

export PATH := $(PATH):$(HOME)/.cargo/bin

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: root cargo ## boot a Debian guest, let Claude Code lose a user's login, and restore it by an ssh login
	@tests/setup/host-packages.sh
	@tests/setup/claude >/dev/null
	@tests/setup/rootfs.sh bookworm >/dev/null
	@packaging/deb.sh >/dev/null
	@cargo run --quiet --locked -p cas-tests --bin demo

deb: cargo ## build the Debian package; installs the build dependencies, and prints its path
	@tests/setup/host-packages.sh package
	@packaging/deb.sh

# A run needs the release build anyway, so that all suites use it (.config/nextest.toml).
test test-all: export CAS_PROFILE := release
test test-all: export NEXTEST_TEST_THREADS = $(shell expr 8 \* "$$(nproc)")

test: test-deps suites ## run before a merge: checks, release build, and all suites with real components
	cargo nextest run --locked --workspace --profile merge

test-all: test-deps suites ## run all of it at full size: both releases, every system call, 1,000 users, two builds compared
	CAS_FULL_SIZE=1 cargo nextest run --locked --workspace
	packaging/reproducible.sh

# In parallel, because the end of the release build keeps only one processor busy.
suites:
	packaging/deb.sh & $(MAKE) --no-print-directory check && cargo nextest run --locked --workspace --no-run && wait $$!

test-deps: root cargo ## install what the suites need (idempotent; one second if installed already)
	@tests/setup/host-packages.sh
	@tests/setup/nextest.sh
	@tests/setup/openbao.sh
	@tests/setup/prometheus.sh >/dev/null
	@tests/setup/claude >/dev/null
	@tests/setup/claude 2.1.197 >/dev/null
	@tests/setup/rootfs.sh bookworm >/dev/null
	@tests/setup/rootfs.sh trixie >/dev/null

check: cargo ## check format, lints, forbidden dependencies and shell scripts
	cargo fmt --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	tests/setup/forbidden-dependencies.sh
	cargo run --quiet --locked -p xtask -- lint
	git ls-files -z '*.sh' ':(glob)tests/setup/*' .ci/run packaging/debian/p* packaging/user-environment-generator | xargs -0 shellcheck --external-sources

build: cargo ## build the programs of the package
	packaging/build.sh

bench: test-deps ## measure a login and a sync without the product, with it, and with the former script; and the watcher
	@packaging/deb.sh >/dev/null
	cargo run --quiet --locked -p cas-tests --bin login-cost
	cargo run --quiet --locked -p cas-tests --bin sync-cost
	cargo run --quiet --locked -p cas-tests --bin watch-repair-times

picture: root cargo ## draw the dashboard into docs/admin/dashboard.png, with Grafana's components and a real Prometheus
	@tests/setup/host-packages.sh picture
	@packaging/build.sh
	@tests/setup/dashboard-picture/draw.sh

reproducible: cargo ## build and pack twice, in two directories, and compare the packages (some minutes)
	@tests/setup/host-packages.sh package
	@packaging/reproducible.sh

clean: cargo ## remove the build (the cache in ~/.cache/claude-auth-sync stays)
	cargo clean

root:
	@[ "$$(id -u)" = 0 ] || { echo "This boots Debian guests, which needs root: sudo --preserve-env=PATH,HOME make $(MAKECMDGOALS)" >&2; exit 1; }

cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing. Use the installer at https://rustup.rs: 1.88 or later is needed, and Debian 13 has 1.85." >&2; exit 1; }
