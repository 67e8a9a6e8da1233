#!/bin/sh
# Our programs beside every peer, in turns, on the networks of the README's tables.
# usage: bench/peers/run.sh [BUILD] [OPTION of compare.py...]     exit status: 1 if a peer is faster or leaner
cd "$(dirname "$0")/../.." || exit 3
build=${1:-build}
[ $# -gt 0 ] && shift
threads=$(nproc)
slower=0
bench/peers/setup.sh || exit 3
mkdir -p build/peers
for network in bisenet deeplabv2; do
    "$build/segc" build "graphs/$network.yaml" --size 512x1024 --output logits -o "build/peers/$network" || exit
    build/peers-venv/bin/python bench/peers/compare.py "$network" --threads "$threads" \
        --ours "build/peers/$network bench --json --threads $threads" "$@"
    status=$?
    [ $status -le 1 ] || exit $status
    slower=$((slower + status))
done
[ $slower -eq 0 ]
