#!/usr/bin/env bash
# Runs every fuzz target of the repository for a while each: fuzz.sh [TIME], 20s by default.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
for dir in $(grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
    for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //'); do
        echo "== $dir $target"
        go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x
    done
done
