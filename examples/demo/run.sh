#!/bin/sh
# What `make demo` shows: a network is compiled to a program, which then segments streets it has never seen.
# usage: examples/demo/run.sh [BUILD]     pictures go to BUILD/demo
cd "$(dirname "$0")/../.." || exit 3
build=${1:-build}
demo=$build/demo
street=$demo/street
weights=examples/demo/street.safetensors
if [ ! -x "$build/segc" ]; then
    echo "run.sh: there is no $build/segc; run make first" >&2
    exit 2
fi
rm -rf "$demo"
mkdir -p "$demo" || exit 3

# Shows a command, then runs it; the demo ends where one fails.
show()
{
    printf '\n$ %s\n' "$*"
    "$@" || { status=$?; echo "run.sh: that failed with status $status" >&2; exit "$status"; }
}

started=$(date +%s%N)
show "$build/segc" build examples/demo/street.yaml -o "$street"
echo "built in $((($(date +%s%N) - started) / 1000000)) ms: $(($(wc -c <"$street") / 1024)) KiB that need"
ldd "$street" | sed -n 's/^[[:space:]]*\([^ ]*\).*/    \1/p'

show "$street" info
show "$street" eval --data builtin:rendered:40 --weights "$weights"
show "$street" predict builtin:rendered:6 --weights "$weights" -o "$demo" --color --overlay --panel "$demo/panel.png"
show "$street" bench --weights "$weights" --runs 50

echo
echo "The streets are drawn by runtime/rt_street*.c; the network was trained on others of them (examples/demo/train.py)."
echo "Look at $demo/panel.png: picture, truth and prediction of six streets; the single pictures are beside it."
