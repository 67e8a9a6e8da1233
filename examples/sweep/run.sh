#!/bin/sh
# The study's grid of loss weights: cross-entropy with Dice, and with the focal loss, each pair of weights a run of one of
# two programs. A run that is finished is not done again, one that was interrupted goes on.
# usage: examples/sweep/run.sh [BUILD]     runs go to BUILD/sweep, the report to BUILD/sweep/report
#     SOURCE, VAL      data specifications (built-in streets); TARGET too where the programs have that stream
#     ITERATIONS       of each run (400)
#     CE, DICE, FOCAL  lists of weights; an empty list of DICE or FOCAL leaves out that half
#     PROGRAMS         folder of ce_dice.yaml and ce_focal.yaml (examples/sweep; graphs/programs has the study's)
#     OPTIONS          of segc build, such as "--size 96x192"
cd "$(dirname "$0")/../.." || exit 3
build=${1:-build}
sweep=$build/sweep
source=${SOURCE-builtin:rendered:400}
val=${VAL-builtin:camera:40}
iterations=${ITERATIONS-400}
programs=${PROGRAMS-examples/sweep}
if [ ! -x "$build/segc" ]; then
    echo "run.sh: there is no $build/segc; run make first" >&2
    exit 2
fi
mkdir -p "$sweep" || exit 3
runs=

# One run: the program, then NAME=VALUE of its two weights.
train()
{
    run=$sweep/$1_$(echo "$2_$3" | sed 's/lambda_//g; s/=//g')
    runs="$runs $run"
    resume=
    if [ -e "$run/last.safetensors" ]; then resume=--resume; fi
    printf '\n== %s\n' "$run"
    "$sweep/$1" train --data "source=$source" --val "$val" --out "$run" --iterations "$iterations" $resume \
        --set "$2" --set "$3" ${TARGET:+--data "target=$TARGET"} || exit $?
}

# A half of the grid: the program, the name of its second weight, its values.
grid()
{
    if [ -z "$3" ]; then return; fi
    # shellcheck disable=SC2086
    "$build/segc" build "$programs/$1.yaml" -o "$sweep/$1" ${OPTIONS-} || exit $?
    last=$sweep/$1
    for ce in ${CE-0.1 0.5 1}; do
        for other in $3; do train "$1" "lambda_ce=$ce" "$2=$other"; done
    done
}

grid ce_dice lambda_dice "${DICE-0.1 0.5 1 2}"
grid ce_focal lambda_focal "${FOCAL-0.1 0.5 1 2}"
printf '\n== report\n'
# shellcheck disable=SC2086
"$last" report $runs --out "$sweep/report" || exit $?
echo "look at $sweep/report/report.html"
