#!/bin/sh
# Adaptation on the built-in streets: labels of rendered streets, pictures of a poor camera. Each program with several seeds,
# then a report, and a table of means and standard deviations in which each gain stands beside what made it.
# usage: examples/adapt/run.sh [BUILD]     runs go to BUILD/adapt, the report to BUILD/adapt/report
#     SEEDS (0 1 2); STEPS (600) of each run; START (100), the adversary's first step
#     SOURCE, TARGET, VAL  data specifications (built-in streets; no scene is in two of them)
#     OPTIONS              of segc build, such as "--size 64x128"; TRAIN: further options of train
# A run that is finished is not done again, one that was interrupted goes on.
cd "$(dirname "$0")/../.." || exit 3
build=${1:-build}
out=$build/adapt
steps=${STEPS-600}
source=${SOURCE-builtin:rendered:400}
target=${TARGET-builtin:camera:400,seed=10000}
val=${VAL-builtin:camera:40,seed=20000}
if [ ! -x "$build/segc" ]; then
    echo "run.sh: there is no $build/segc; run make first" >&2
    exit 2
fi
. examples/measure
mkdir -p "$out" || exit 3
: >"$out/results" || exit 3
runs=

# compile PROGRAM [OPTION...]
compile()
{
    program=$1
    shift
    # shellcheck disable=SC2086
    "$build/segc" build "graphs/programs/street_$program.yaml" -o "$out/$program" "$@" ${OPTIONS-} || exit $?
}

# train ROW SEED PROGRAM OPTION...: a run and what it reaches at its end. (Its best checkpoint was chosen on the
# very pictures that it is measured on.)
train()
{
    row=$1 seed=$2 program=$3 run=$out/$1.seed$2
    shift 3
    printf '\n== %s\n' "$run"
    if [ -e "$run/last.safetensors" ]; then set -- "$@" --resume; fi
    # shellcheck disable=SC2086
    "$out/$program" train "$@" --val "$val" --out "$run" --iterations "$steps" --seed "$seed" ${TRAIN-} || exit $?
    runs="$runs $run"
    evaluate "$out/source_only" "$row" "$seed" "$run/last.safetensors"
}

# calibrate ROW SEED: that run's statistics, estimated anew on pictures of the target.
calibrate()
{
    "$out/source_only" calibrate --data "$target" --weights "$out/$1.seed$2/last.safetensors" \
        --out "$out/$1.seed$2.calibrated.safetensors" 2>"$out/calibrate.err" ||
        { status=$?; cat "$out/calibrate.err" >&2; exit $status; }
    evaluate "$out/source_only" "$1+calibrate" "$2" "$out/$1.seed$2.calibrated.safetensors"
}

compile source_only
compile control --set "adversary_from=${START-100}"
compile adapt --set "adversary_from=${START-100}"
for seed in ${SEEDS-0 1 2}; do
    train source_only "$seed" source_only --data "source=$source"
    calibrate source_only "$seed"
    train control "$seed" control --data "source=$source" --data "target=$target"
    train adapt "$seed" adapt --data "source=$source" --data "target=$target"
    calibrate adapt "$seed"
    train upper_bound "$seed" source_only --data "source=$target"
done

printf '\n== report\n'
# shellcheck disable=SC2086
"$out/adapt" report $runs --out "$out/report" || exit $?
table "$out/results" >"$out/table.md"
printf '\non %s, after the last step, mean and standard deviation (n - 1):\n\n' "$val"
cat "$out/table.md"
printf '\nlook at %s\n' "$out/report/report.html"
