#!/bin/sh
# The study on small real streets: each variant a program of a few lines over graphs/programs, trained from random weights with
# several seeds, and one report. A run that is finished is not done again, one that was interrupted goes on.
# usage: examples/streets/run.sh A|B DATA [BUILD]     runs go to BUILD/streets/A or B
#     A: rendered streets (5 classes) to CamVid; B: CamVid by day (11 classes) to CamVid at dusk
#     DATA      folder with lists/*.txt ("image label" per line, relative to DATA), see README.md
#     VARIANTS  which (source_only control single_level multi_level_spatial multi_level_context1 multi_level_context2
#               focal dice upper_bound); SEEDS (0 1 2); STEPS (300); START of the adversary (150); LAMBDA
#               (0.01) and LEVEL_LAMBDA (0.002), its weights
#     TRAIN     further options of train; BUILD_OPTIONS of segc build
cd "$(dirname "$0")/../.." || exit 3
here=$(pwd)
experiment=$1
data=$2
build=${3:-build}
variants=${VARIANTS-source_only control single_level multi_level_spatial multi_level_context1 multi_level_context2 \
    focal dice upper_bound}
steps=${STEPS-300}
start=${START-150}
lambda=${LAMBDA-0.01}
case $experiment in
A) file=five classes=5 source=A_source_train target=A_target_train_UNLABELLED test=A_target_test ;;
B) file=eleven classes=11 source=B_source_day_train target=B_target_dusk_train_UNLABELLED test=B_target_dusk_test ;;
*) echo "usage: examples/streets/run.sh A|B DATA [BUILD]" >&2; exit 2 ;;
esac
if [ ! -x "$build/segc" ] || [ ! -e "$data/lists/$source.txt" ]; then
    echo "run.sh: there is no $build/segc (run make), or no $data/lists/$source.txt" >&2
    exit 2
fi
out=$build/streets/$experiment
. examples/measure
mkdir -p "$out" || exit 3
: >"$out/results" || exit 3

# The list of that name as a data specification.
list()
{
    echo "list:$data/lists/$1.txt@$data"
}

val=$(list $test)

# A variant's file over the study's, and its program.
compile()
{
    base=$1 more=", adversary_from: $start"
    case $1 in
    upper_bound) base=source_only more= ;;
    source_only) more= ;;
    esac
    cat >"$out/$1.yaml" <<END
segc: 1
program: $1
extends: $here/graphs/programs/$base.yaml
settings: {classes: $classes, lr: 5e-4, head_lr_scale: 20$more}
size: [112, 192]
train: {batch: 4, iterations: $steps, validate_every: 0}
classes: $here/examples/streets/$file.yaml
data: ~
END
    # shellcheck disable=SC2086
    "$build/segc" build "$out/$1.yaml" -o "$out/$1" ${BUILD_OPTIONS-} || exit $?
}

# A run of $variant with $seed.
train()
{
    run=$out/$variant.seed$seed
    from=$source
    if [ "$variant" = upper_bound ]; then from=$target; fi
    set -- --seed "$seed" --data "source=$(list $from)" --val "$val"
    case $variant in
    source_only | upper_bound) ;;
    control) set -- "$@" --data "target=$(list $target)" ;;
    multi_level_*) set -- "$@" --data "target=$(list $target)" --set "lambda_adv=$lambda" \
        --set "lambda_adv_level=${LEVEL_LAMBDA-0.002}" ;;
    *) set -- "$@" --data "target=$(list $target)" --set "lambda_adv=$lambda" ;;
    esac
    if [ -e "$run/last.safetensors" ]; then set -- "$@" --resume; fi
    printf '\n== %s\n' "$run"
    program=$out/$variant
    # shellcheck disable=SC2086
    "$program" train --out "$run" --iterations "$steps" "$@" ${TRAIN-} || exit $?
    runs="$runs $run"
    evaluate "$out/source_only" "$variant" "$seed" "$run/last.safetensors"
}

# The statistics of a variant's run estimated anew, on the target's pictures.
calibrate()
{
    weights=$out/$1.seed$2.calibrated.safetensors
    "$out/source_only" calibrate --data "$(list $target)" --weights "$out/$1.seed$2/last.safetensors" --out "$weights" \
        2>"$out/calibrate.err" || { status=$?; cat "$out/calibrate.err" >&2; exit $status; }
    evaluate "$out/source_only" "$1+calibrate" "$2" "$weights"
}

runs=
compile source_only
for variant in $variants; do
    if [ "$variant" != source_only ]; then compile "$variant"; fi
done
for seed in ${SEEDS-0 1 2}; do
    for variant in $variants; do
        train
        if [ "$variant" != upper_bound ]; then calibrate "$variant" "$seed"; fi
    done
done
printf '\n== report\n'
# shellcheck disable=SC2086
"$program" report $runs --out "$out/report" || exit $?
table "$out/results" >"$out/table.md"
printf '\non %s, after the last step, mean and standard deviation (n - 1):\n\n' "$val"
cat "$out/table.md"
printf '\nlook at %s\n' "$out/report/report.html"
