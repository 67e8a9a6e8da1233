#!/bin/sh
# `segc bench`: the three variants agree, the table has them all, and --json is one valid object that says the same.
# usage: tests/whole/bench.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=${SEGC:-build/segc}
. tests/whole/steps

says "bench prints a table" "$segc" bench graphs/espnet_camvid.yaml --size 64x96 --runs 3 --threads 2
cp "$room/out" "$room/table"
for row in "^fused " "^not fused " "^im2col + OpenBLAS " "baseline ms" "in 0 of 6144 classes"; do
    says "the table has '$row'" grep -q -e "$row" "$room/table"
done

says "bench of a float output" "$segc" bench graphs/fc_discriminator.yaml --size 64x96 --runs 2 --json
cp "$room/out" "$room/floats.json"
says "bench prints JSON" "$segc" bench graphs/bisenet.yaml --size 64x128 --batch 2 --runs 4 --threads 1 --json
cp "$room/out" "$room/classes.json"
cat >"$room/check.py" <<'END'
import json, sys
floats, classes = (json.load(open(f"{sys.argv[1]}/{name}.json")) for name in ("floats", "classes"))
for result in floats, classes:
    assert [v["name"] for v in result["variants"]] == ["fused", "not fused", "im2col + OpenBLAS"]
    for v in result["variants"]:
        assert 0 < v["min_ms"] <= v["median_ms"] <= v["p95_ms"], v
        assert v["planned_bytes"] > 0 and v["compile_ms"] > 0, v
    assert result["peak_gflops"] > 0 and result["peak_gbytes_per_second"] > 0
    times = [k["ms"] for k in result["kernels"]]
    assert times and times == sorted(times, reverse=True)
    assert any(k["baseline_ms"] for k in result["kernels"])
assert (classes["batch"], classes["height"], classes["width"], classes["runs"], classes["threads"]) == (2, 64, 128, 4, 1)
# The scores that --crf reads come along, as small as they are before the enlargement.
assert classes["output_classes"] == 2 * 64 * 128 and classes["output_values"] == 2 * 19 * 8 * 16
assert floats["output_values"] > 0 and all(v["largest_difference"] <= 1e-4 for v in floats["variants"])
END
says "the JSON says what was asked" python3 "$room/check.py" "$room"

"$segc" bench >"$room/out" 2>"$room/err"
says "without a file: usage" test $? -eq 2
"$segc" bench graphs/bisenet.yaml --runs 0 >"$room/out" 2>"$room/err"
says "no runs: usage" test $? -eq 2
"$segc" bench graphs/absent.yaml >"$room/out" 2>"$room/err"
says "no such file: the input" test $? -eq 1

echo "tests/whole: $passed checks of bench passed, $failed not"
[ $failed -eq 0 ]
