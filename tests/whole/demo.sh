#!/bin/sh
# The demo: its script from beginning to end (with few steps and streets), the mIoU that its weights reach, and the
# pictures that drawn streets leave.
# usage: tests/whole/demo.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=${SEGC:-build/segc}
weights=examples/demo/street.safetensors
. tests/whole/steps

# There are N files of that pattern in a folder.
count_is()
{
    [ "$(find "$2" -name "$3" | wc -l)" -eq "$1" ] && echo fine
}

# What the script needs beside it, so that it leaves build/demo alone.
mkdir "$room/build"
ln -s "$(realpath "$segc")" "$room/build/segc"
for archive in "$(dirname "$(realpath "$segc")")"/libsegrt*.a; do ln -s "$archive" "$room/build/"; done

ends "the demo's script" 0 "panel.png" env STEPS=2 STREETS=4 examples/demo/run.sh "$room/build"
cp "$room/out" "$room/demo"
ends "it shows a table of classes" 0 "^motorcycle .*[0-9]" cat "$room/demo"
ends "six of each kind of picture" 0 fine count_is 6 "$room/build/demo" 'rendered_*_truth.png'
ends "overlays too" 0 fine count_is 6 "$room/build/demo" 'rendered_*_overlay.png'
for row in "as it came" "calibrated: new statistics" "adapted: an adversary" "adapted and calibrated"; do
    ends "the closing table: $row" 0 "^$row  *[0-9]*\.[0-9][0-9]  *[0-9]*\.[0-9][0-9]\$" cat "$room/demo"
done
ends "a panel before adaptation" 0 fine count_is 1 "$room/build/demo" before.png
ends "and one after" 0 fine count_is 1 "$room/build/demo" after.png
ends "the script without a compiler: usage" 2 "run make first" examples/demo/run.sh "$room/nothing"

program=$room/build/demo/street
ends "weights are of this network" 0 "mIoU" "$program" eval --data builtin:rendered:1 --weights "$weights"
ends "20 streets" 0 "miou" "$program" eval --data builtin:rendered:20 --weights "$weights" --json
cp "$room/out" "$room/eval.json"
cat >"$room/check.py" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
frequent = [c["iou"] for c in result["classes"] if c["labelled"] > 0.01 * result["pixels_counted"]]
print(f"mIoU {result['miou']:.4f}, frequent {sum(frequent) / len(frequent):.4f}, accuracy {result['pixel_accuracy']:.4f}")
assert result["pairs"] == 20 and result["classes_counted"] == 19
assert abs(result["miou"] - 0.6257) < 0.005
assert abs(result["pixel_accuracy"] - 0.9225) < 0.003
assert sum(frequent) / len(frequent) > 0.6
END
ends "reach the mIoU they had in training" 0 "mIoU" python3 "$room/check.py" "$room/eval.json"
ends "the same without a program" 0 '"miou"' "$segc" run examples/demo/street.yaml eval --data builtin:rendered:20 --weights "$weights" --json
cp "$room/out" "$room/jit.json"
ends "and the same result" 0 fine sh -c "cmp '$room/jit.json' '$room/eval.json' && echo fine"
ends "other streets are others" 0 "2 pairs" "$program" eval --data builtin:rendered:2,seed=900,size=128x256 --weights "$weights"
cp "$room/out" "$room/others"
ends "their size is that asked for" 0 "256x128" cat "$room/others"
ends "a count that is none: usage" 2 "whole number" "$program" eval --data builtin:rendered:0 --weights "$weights"
ends "drawn and other pictures: usage" 2 "together" "$program" predict builtin:rendered:2 x.png -o "$room/p"

ends "predictions, pictures and truth" 0 "6 files" "$program" predict builtin:rendered:2 -o "$room/p" --weights "$weights"
ends "are in the folder" 0 fine count_is 2 "$room/p" '*_picture.png'
cp "$room"/p/rendered_0_picture.png "$room/p/rendered_1_picture.png" "$room/"
ends "a drawn picture read again" 0 "2 of 2" "$program" predict "$room"/rendered_*_picture.png -o "$room/q" --panel "$room/q.png" --weights "$weights"
ends "has the same classes" 0 fine sh -c "cmp '$room/p/rendered_1.png' '$room/q/rendered_1_picture.png' && echo fine"
ends "a panel of pictures without truth" 0 fine count_is 1 "$room" q.png
mkdir "$room/truth" "$room/pictures"
for i in 0 1; do
    cp "$room/p/rendered_${i}_truth.png" "$room/truth/$i.png"
    cp "$room/p/rendered_${i}_picture.png" "$room/pictures/$i.png"
done
ends "the truth written is a label" 0 "2 pairs" "$program" eval --data "images:$room/pictures,labels:$room/truth" --weights "$weights"

echo "tests/whole: $passed checks of the demo passed, $failed not"
[ $failed -eq 0 ]
