# What is done more than once. `make demo` and `make test` are all that a newcomer needs.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
export PATH := $(CURDIR)/.skein/tools/bin:$(PATH)
BIN := target/release
BINARIES := -p skein -p skein-edge -p skein-cloud -p skein-sim
DEMO_FLAGS := $(if $(HEADLESS),--headless) $(if $(REPORT),--report $(REPORT)) $(if $(or $(MAP),$(WORLD)),--map $(or $(MAP),$(WORLD))) \
	$(if $(ZONE),--zone $(ZONE)) $(if $(ROBOTS),--robots $(ROBOTS)) $(if $(SEED),--seed $(SEED))

.PHONY: help demo test bench build debug-build fmt lint docs audit gen setup ci batch drill mutants fuzz clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: build ## six robots survey the sample warehouse (HEADLESS=1 REPORT=r.json MAP= ZONE= ROBOTS= SEED=)
	$(BIN)/skein demo $(DEMO_FLAGS)

test: debug-build ## every test
	@.ci/setup test
	cargo nextest run --workspace
	cargo test --workspace --doc --quiet

bench: ## the table of measured claims, and bench.json
	@.ci/setup build && .ci/setup bench
	cargo build --release $(BINARIES) -p skein-bench
	$(BIN)/skein-bench --out bench.json

build:
	@.ci/setup build
	cargo build --release $(BINARIES)

# The tests of real processes start these. Together with the tests, so that libraries are built once with one set of features.
debug-build:
	@.ci/setup build
	cargo build --workspace --bins --tests

fmt: ## format everything
	cargo fmt --all

lint: ## format and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

docs: ## documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items

audit: ## licences, sources and banned crates
	@.ci/setup audit
	cargo fetch --locked --quiet
	cargo deny --offline check bans licenses sources

gen: ## generated code: the wire messages are made anew at each build; this makes them now
	cargo build -p skein-wire

drill: build ## stops, hangs and kills on a fleet of real processes, measured (ROUNDS=20 SEED=1 ROBOTS=6; ROUNDS=100 for the whole)
	@.ci/drill $(BIN)/skein $(or $(ROUNDS),20) $(or $(SEED),1) $(or $(ROBOTS),6)

batch: build ## the fleet on the virtual clock over many seeds (SEEDS=1..10)
	$(BIN)/skein-sim batch --seeds $(or $(SEEDS),1..10)

mutants: ## plant mutants in reflex, envelope and latch and see which no test kills (takes hours; SHARD=1/8)
	@command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants --root .skein/tools
	cargo mutants -p skein-reflex -p skein-body -p skein-robot -p skein-types --no-shuffle --output .skein \
		$(if $(SHARD),--shard $(SHARD)) --file 'edge/reflex/src/*.rs' --file 'hal/body/src/safe.rs' --file 'hal/body/src/fence.rs' \
		--file 'edge/robot/src/latch/*.rs' --file 'proto/types/src/authority/*.rs' --file 'proto/types/src/failsafe.rs'

fuzz: ## hostile bytes for every decoder, SECONDS=30 for each target (needs a nightly toolchain)
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz --root .skein/tools
	cargo +nightly fuzz run wire --fuzz-dir tests/fuzz -- -max_total_time=$(or $(SECONDS),30) -max_len=65536
	cargo +nightly fuzz run body_frames --fuzz-dir tests/fuzz -- -max_total_time=$(or $(SECONDS),30) -max_len=8192

setup: ## install what is missing for all of the above
	@.ci/setup build && .ci/setup test && .ci/setup bench && .ci/setup audit

ci: ## what the pipeline runs
	.ci/run

clean: ## remove what was built and what runs left behind
	cargo clean
	rm -rf .skein
