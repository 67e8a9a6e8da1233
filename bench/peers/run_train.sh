#!/bin/sh
# Training steps of the study's programs beside PyTorch's, in turns: batch 2 (+ 2 of the target) at 256x512.
# usage: bench/peers/run_train.sh [BUILD] [ROUNDS]     exit status: 1 if PyTorch is faster, or ours needs more than half its memory
cd "$(dirname "$0")/../.." || exit 3
build=${1:-build}
rounds=${2:-3}
threads=$(nproc)
slower=0
bench/peers/setup.sh || exit 3
mkdir -p build/peers
for program in supervised_bisenet single_level multi_level_spatial multi_level_context1 multi_level_context2; do
    "$build/segc" build "graphs/programs/$program.yaml" --size 256x512 --batch 2 -o "build/peers/$program" || exit
    build/peers-venv/bin/python bench/peers/compare_train.py "$program" --threads "$threads" --rounds "$rounds" \
        --ours "build/peers/$program bench --training --json --threads $threads"
    status=$?
    [ $status -le 1 ] || exit $status
    slower=$((slower + status))
done
[ $slower -eq 0 ]
