#!/bin/sh
# The sweep of examples/: a few short runs of both its programs, their report, and what a second call does.
# usage: tests/whole/sweep.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=${SEGC:-build/segc}
. tests/whole/steps

mkdir "$room/build"
ln -s "$(realpath "$segc")" "$room/build/segc"
for archive in "$(dirname "$(realpath "$segc")")"/libsegrt*.a; do ln -s "$archive" "$room/build/"; done
sweep=$room/build/sweep
export SOURCE=builtin:rendered:4 VAL=builtin:camera:2 ITERATIONS=2 CE="0.5 1" DICE=2 FOCAL=0.1
export OPTIONS="--size 64x128 --batch 2"

says "the sweep" examples/sweep/run.sh "$room/build"
for run in ce_dice_ce0.5_dice2 ce_dice_ce1_dice2 ce_focal_ce0.5_focal0.1 ce_focal_ce1_focal0.1; do
    says "the run $run" test -s "$sweep/$run/last.safetensors"
    says "the run $run in the report" grep -q "$run" "$sweep/report/report.md"
done
says "its log has the terms" grep -q '"weighted_dice"' "$sweep/ce_dice_ce1_dice2/log.jsonl"
ITERATIONS=3 says "the sweep again, longer" examples/sweep/run.sh "$room/build"
says "the report" test -s "$sweep/report/report.html"

echo "tests/whole: $passed sweeps as expected, $failed not"
[ $failed -eq 0 ]
