#!/bin/sh
# What `make demo` shows: a network is compiled to a program, which segments streets it has never seen; then a training
# program adapts it, live, to streets of another camera, of which it sees pictures and no labels.
# usage: examples/demo/run.sh [BUILD]     pictures go to BUILD/demo
#     STEPS (100) of adaptation; STREETS (40) that are measured
cd "$(dirname "$0")/../.." || exit 3
build=${1:-build}
demo=$build/demo
street=$demo/street
adapt=$demo/adapt
weights=examples/demo/street.safetensors
streets=${STREETS-40}
source=builtin:rendered:200,seed=1000000
target=builtin:camera:200,seed=2000000
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

# measure ROW WEIGHTS: a line of the closing table.
measure()
{
    row=$1
    set -- "$street" eval --data "builtin:camera:$streets" --weights "$2"
    printf '\n$ %s\n' "$*"
    "$@" >"$demo/eval.txt" 2>"$demo/eval.err" || { status=$?; cat "$demo/eval.err" >&2; exit "$status"; }
    grep '^mIoU' "$demo/eval.txt"
    sed -n "s/^mIoU \([0-9.]*\) .*accuracy \([0-9.]*\) %/$row;\1;\2/p" "$demo/eval.txt" >>"$demo/table"
}

started=$(date +%s%N)
show "$build/segc" build examples/demo/street.yaml -o "$street"
echo "built in $((($(date +%s%N) - started) / 1000000)) ms: $(($(wc -c <"$street") / 1024)) KiB that need"
ldd "$street" | sed -n 's/^[[:space:]]*\([^ ]*\).*/    \1/p'

show "$street" info
show "$street" eval --data "builtin:rendered:$streets" --weights "$weights"
show "$street" predict builtin:rendered:6 --weights "$weights" -o "$demo" --color --overlay --panel "$demo/panel.png"
show "$street" bench --weights "$weights" --runs 50

printf '\nThe same streets, seen by a poor camera:\n'
measure "as it came" "$weights"
show "$street" predict builtin:camera:6 --weights "$weights" -o "$demo/before" --panel "$demo/before.png"

printf '\nA training program adapts it. Labels are of rendered streets, of the camera it gets pictures alone:\n'
show "$build/segc" build examples/demo/adapt.yaml -o "$adapt"
show "$adapt" calibrate --data "$target" --weights "$weights" --batches 25 -o "$demo/calibrated.safetensors"
measure "calibrated: new statistics" "$demo/calibrated.safetensors"
show "$adapt" train --data "source=$source" --data "target=$target" --weights "$weights" --iterations "${STEPS-100}" \
    --out "$demo/run"
measure "adapted: an adversary" "$demo/run/last.safetensors"
show "$adapt" calibrate --data "$target" --weights "$demo/run/last.safetensors" --batches 25 -o "$demo/adapted.safetensors"
measure "adapted and calibrated" "$demo/adapted.safetensors"
show "$street" predict builtin:camera:6 --weights "$demo/adapted.safetensors" -o "$demo/after" --panel "$demo/after.png"

printf '\n%-28s %8s %12s\n' "$streets streets of the camera" "mIoU %" "accuracy %"
awk -F ';' '{ printf "%-28s %8s %12s\n", $1, $2, $3 }' "$demo/table"
echo
echo "The streets are drawn by runtime/rt_street*.c; the network was trained on others of them (examples/demo/train.yaml)."
echo "Pictures, each row picture, truth and prediction: $demo/panel.png rendered streets; $demo/before.png and"
echo "$demo/after.png those of the camera, before adaptation and after; the single pictures are beside them."
