#!/bin/sh
# examples/adapt: a few steps of each of its programs, the table and the report.
# usage: tests/whole/adapt.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=${SEGC:-build/segc}
. tests/whole/steps

mkdir "$room/build"
ln -s "$(realpath "$segc")" "$room/build/segc"
for archive in "$(dirname "$(realpath "$segc")")"/libsegrt*.a; do ln -s "$archive" "$room/build/"; done
adapt=$room/build/adapt
export SEEDS="0 1" STEPS=2 START=1 SOURCE=builtin:rendered:4 TARGET=builtin:camera:4,seed=10 VAL=builtin:camera:2,seed=20
export OPTIONS="--size 64x128 --batch 2"

says "the example" examples/adapt/run.sh "$room/build"
cp "$room/out" "$room/first"
says "a table of six rows" sh -c "test \$(wc -l <'$adapt/table.md') -eq 8"
for row in source_only source_only+calibrate control adapt adapt+calibrate upper_bound; do
    says "the row $row: two seeds, their mean and deviation" \
        grep -q "^| $row | [0-9.]* ± [0-9.]* | [0-9.]* [0-9.]* | [0-9.]* |\$" "$adapt/table.md"
done
says "the table is shown" grep -q "^| adapt+calibrate" "$room/first"
says "the report has both seeds" grep -q "street_adapt.* | 2 seeds |" "$adapt/report/report.md"
says "a page too" test -s "$adapt/report/report.html"
says "control differs from source_only in statistics alone" python3 tests/whole/differ.py \
    "$adapt/source_only.seed1/last.safetensors" "$adapt/control.seed1/last.safetensors" statistics
says "the adversary changes weights" python3 tests/whole/differ.py \
    "$adapt/control.seed1/last.safetensors" "$adapt/adapt.seed1/last.safetensors" weights
says "without a compiler it says what to do" sh -c "examples/adapt/run.sh '$room/nothing' 2>&1 | grep 'run make first'"

echo "tests/whole: $passed adaptations as expected, $failed not"
[ $failed -eq 0 ]
