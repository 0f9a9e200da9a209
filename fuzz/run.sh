#!/bin/sh
# Runs each fuzz target for some seconds, from the committed seeds on. What it finds out on the way is kept in target/fuzz
# and used the next time; an input that fails is named at the end.
#
#   fuzz/run.sh SECONDS [TARGET ...]
set -eu

cd "$(dirname "$0")"
seconds=$1
shift
tools=$PWD/../target/tools
export CARGO_TARGET_DIR=$PWD/../target/fuzz
PATH=$tools/bin:$PATH

cargo +nightly --version > /dev/null || { echo "fuzzing needs a nightly toolchain" >&2; exit 1; }
command -v cargo-fuzz > /dev/null || cargo install --quiet --locked --root "$tools" cargo-fuzz
[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list)
for target in "$@"; do
    found=$CARGO_TARGET_DIR/corpus/$target
    mkdir -p "$found"
    cargo +nightly fuzz run "$target" "$found" "seeds/$target" -- \
        -max_total_time="$seconds" -print_final_stats=1 -rss_limit_mb=2048 -timeout=10
done
