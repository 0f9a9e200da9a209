# `make test` installs what the tests need and runs everything. See CONTRIBUTING.md.

CARGO ?= cargo
VENVS := .venvs
PYTEST := $(VENVS)/clients/bin/pytest
export WHEELHOUSE_BIN ?= $(CURDIR)/target/debug

# cargo-nextest is faster and kinder to read, but cargo itself will do.
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: test lint test-rust test-compat venvs build image bench bench-quick bench-tools bench-mirror bench-takeover soak fuzz deny clean

test: lint test-rust test-compat

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked --lib --quiet

test-rust:
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --locked --no-fail-fast
else
	$(CARGO) test --locked --no-fail-fast
endif

build:
	$(CARGO) build --locked

venvs:
	compat-tests/setup.sh

test-compat: build venvs
	cd compat-tests && ../$(PYTEST) -n 2 --dist loadfile

image: venvs
	compat-tests/image.sh

bench-mirror: venvs
	$(CARGO) build --release --locked
	cd compat-tests && WHEELHOUSE_BIN=$(CURDIR)/target/release ../$(VENVS)/clients/bin/python -m bench_mirror

bench-takeover: venvs
	$(CARGO) build --release --locked
	cd compat-tests && WHEELHOUSE_BIN=$(CURDIR)/target/release ../$(VENVS)/clients/bin/python -m bench_takeover

# Ours beside all others, written to docs/benchmarks.md: three quarters of an hour, and 40 GB of disk meanwhile.
bench: bench-tools
	cd compat-tests && WHEELHOUSE_BIN=$(CURDIR)/target/release ../$(VENVS)/clients/bin/python -m bench --write

# The same in a few minutes, without the large numbers; nothing is written.
bench-quick: bench-tools
	cd compat-tests && WHEELHOUSE_BIN=$(CURDIR)/target/release ../$(VENVS)/clients/bin/python -m bench --quick

bench-tools: venvs
	compat-tests/setup.sh bench-pypiron bench-pypiserver bench-devpi-web
	compat-tests/install.sh wrk
	$(CARGO) build --release --locked

soak: build venvs
	cd compat-tests && COMPAT_LARGE_MIB=2048 SEQUENCES=5000 MIRROR_FILE_MIB=200 TAKEOVER_KILLS=50 IMPORT_KILLS=50 \
		BACKUP_KILLS=50 FSCK_KILLS=20 CRASHES=200 \
		../$(PYTEST) -n 2 --dist loadfile test_large_upload.py test_crash.py test_crash_loop.py test_sequences.py \
		test_mirror_load.py test_takeover.py test_dumps.py test_backup_trouble.py test_fsck_repair_records.py
	cd compat-tests && SOAK_MINUTES=60 ../$(PYTEST) -s test_soak.py
	$(MAKE) fuzz

# Each parser of foreign bytes for this many seconds. Needs a nightly toolchain.
FUZZ_SECONDS ?= 60
fuzz:
	fuzz/run.sh $(FUZZ_SECONDS)

deny:
	$(CARGO) deny check

clean:
	$(CARGO) clean
	rm -rf $(VENVS)
