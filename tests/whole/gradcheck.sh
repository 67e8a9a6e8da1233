#!/bin/sh
# `segc gradcheck`: gradients of a network and of a program with two players hold, the table and --json say so, a
# parameter can be picked, and wrong calls are told.
# usage: tests/whole/gradcheck.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=${SEGC:-build/segc}
. tests/whole/steps

cat >"$room/net.yaml" <<'END'
segc: 1
network: net
inputs: {image: [N, 3, H, W]}
nodes:
  a: {op: conv2d, in: image, filters: 10, kernel: 3, stride: 2, padding: 1}
  b: {op: batch_norm, in: a}
  c: {op: prelu, in: b}
  d: {op: conv2d, in: c, filters: 5, kernel: 1}
  e: {op: resize, in: d, scale_factor: 2}
  f: {op: max_pool2d, in: d, kernel: 3}
outputs: {y: e, z: f}
END
cat >"$room/adversary.yaml" <<'END'
segc: 1
network: adversary
settings: {channels: 3}
inputs: {map: [N, $channels, H, W]}
nodes:
  a: {op: conv2d, in: map, filters: 7, kernel: 3, stride: 2}
  b: {op: leaky_relu, in: a, negative_slope: 0.2}
  c: {op: conv2d, in: b, filters: 1, kernel: 3}
outputs: {score: c}
END
cat >"$room/play.yaml" <<'END'
segc: 1
program: play
networks:
  net: {use: net.yaml}
  adversary: {use: adversary.yaml, channels: 5}
inputs:
  source: {image: [N, 3, H, W], label: [N, H, W]}
  target: {image: [N, 3, H, W]}
tunables: {weight: 0.5}
nodes:
  s: {op: net, in: source.image}
  t: {op: net, in: target.image}
  ce: {op: cross_entropy, in: [s.y, source.label]}
  p: {op: softmax, in: t.y}
  d: {op: adversary, in: p}
  fool: {op: bce_with_logits, in: d, target: 1}
  weighted: {op: mul, in: [fool, weight]}
  loss: {op: add, in: [ce, weighted]}
  right: {op: mse, in: d, target: 0}
players:
  first: {minimizes: loss, updates: [net], optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}
  second: {minimizes: right, updates: [adversary], optimizer: {adam: {lr: 0.1}}}
predict: {network: net, output: y}
END

says "a network's gradients hold" "$segc" gradcheck "$room/net.yaml" --size 21x33 --batch 3
cp "$room/out" "$room/table"
says "the table has its parameters" grep -q 'agrees  *d.weight' "$room/table"
says "the table has its input" grep -q 'agrees  *image' "$room/table"
says "and ends in a summary" grep -q '^8 gradients: [0-9]* agree, [0-9]* are unclear, 0 are wrong' "$room/table"

says "a program's gradients hold" "$segc" gradcheck "$room/play.yaml" --size 22x34 --seed 3 --threads 2 --json
cp "$room/out" "$room/play.json"
cat >"$room/check.py" <<'END'
import json, sys
result = json.load(open(f"{sys.argv[1]}/play.json"))
rows = {(r["player"], r["parameter"]): r for r in result["gradients"]}
assert {p for p, _ in rows} == {"first", "second"} and ("first", "net.b.weight") in rows, rows.keys()
assert ("second", "adversary.c.bias") in rows and len(rows) == 11, rows.keys()
assert (result["batch"], result["height"], result["width"], result["differs"]) == (2, 22, 34, 0), result
assert result["agrees"] + result["unclear"] == len(rows) and result["agrees"] >= 10
for (player, name), row in rows.items():
    assert row["loss"] == ("loss" if player == "first" else "right"), row
    if row["verdict"] == "agrees":
        assert row["along"]["relative_error"] < 0.03 and row["random"]["relative_error"] < 0.03, row
assert rows["second", "adversary.c.weight"]["along"]["relative_error"] < 1e-3
END
says "the JSON says what was asked" python3 "$room/check.py" "$room"
says "one parameter" "$segc" gradcheck "$room/play.yaml" --size 22x34 --parameter 'second/*.c.weight'
cp "$room/out" "$room/table"
says "is one gradient" grep -q '^1 gradients: 1 agree' "$room/table"
says "the same seed, the same slopes" "$segc" gradcheck "$room/net.yaml" --size 9x11 --parameter d.bias --json
cp "$room/out" "$room/first"
says "again" "$segc" gradcheck "$room/net.yaml" --size 9x11 --parameter d.bias --json
cp "$room/out" "$room/second"
says "bit for bit" cmp "$room/first" "$room/second"

sed 's/^outputs.*/  g: {op: argmax, in: e}\noutputs: {y: g}/; /  f:/d' "$room/net.yaml" >"$room/classes.yaml"
ends "nothing to differentiate: the input" 1 "has no output with a gradient" "$segc" gradcheck "$room/classes.yaml"
ends "no such parameter: usage" 2 "no parameter is named so (the first is net.a.weight)" \
    "$segc" gradcheck "$room/play.yaml" --parameter 'absent.*'
ends "no such seed: usage" 2 "--seed expects S, not -1" "$segc" gradcheck "$room/play.yaml" --seed -1
ends "no such file: the input" 1 "absent.yaml" "$segc" gradcheck "$room/absent.yaml"
ends "without a file: usage" 2 "gradcheck needs a file" "$segc" gradcheck

echo "tests/whole: $passed checks of gradcheck passed, $failed not"
[ $failed -eq 0 ]
