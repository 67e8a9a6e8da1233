#!/bin/sh
# A training program as a user meets it: two players on drawn streets, stopped, killed, resumed, and what it leaves.
# usage: tests/whole/train.sh     SEGC=PROGRAM overrides build/segc; KILLS (12) is how often it is killed
cd "$(dirname "$0")/../.." || exit 3
segc=$(realpath "${SEGC:-build/segc}")
graphs=$PWD/graphs
differ=$PWD/tests/whole/differ.py
. tests/whole/steps
cd "$room" || exit 3

# What a run computed: its log without what the clock says, and without the lines that speak of beginnings and ends.
numbers()
{
    sed -n -e 's/, "seconds.*//' -e '/"event": "\(step\|validation\)"/p' "$1/log.jsonl"
}

cat >small.yaml <<END
segc: 1
program: small
extends: $graphs/programs/street_adapt.yaml
settings: {width: 4, adversary_from: 2, discriminator_filters: 4}
size: [64, 128]
train: {batch: 2, iterations: 6, validate_every: 2}
END
ends "it builds" 0 "" "$segc" build small.yaml -o prog
ends "info tells of players" 0 "player  *discriminator minimizes" ./prog info

set -- --data source=builtin:rendered:9 --data target=builtin:camera:7 --val builtin:camera:3 --log-every 1
ends "six iterations" 0 "best mIoU" ./prog train "$@" --out whole --threads 1
ends "six iterations of two threads" 0 "best mIoU" ./prog train "$@" --out other --threads 2 --loader-threads 2
ends "three iterations" 0 "stopped after iteration 3 of 6" ./prog train "$@" --out parts --threads 2 --stop-at 3
ends "three more" 0 "best mIoU" ./prog train --out parts --resume --threads 1 --log-every 1 --loader-threads 3
ends "threads change nothing" 0 "" cmp whole/last.safetensors other/last.safetensors
ends "a stop changes nothing" 0 "" cmp whole/last.safetensors parts/last.safetensors
ends "nor the best" 0 "" cmp whole/best.safetensors parts/best.safetensors
numbers whole >whole.txt
numbers other >other.txt
numbers parts >parts.txt
ends "there are numbers" 0 "^9$" sh -c 'wc -l <whole.txt'
ends "threads change no number" 0 "" cmp whole.txt other.txt
ends "a stop changes no number" 0 "" cmp whole.txt parts.txt
ends "the log is JSON" 0 "" python3 -c 'import json; [json.loads(line)["iteration"] for line in open("parts/log.jsonl")]'
ends "another seed is another run" 0 "" ./prog train "$@" --out seeded --seed 1
ends "whose weights differ" 0 "" python3 "$differ" whole/last.safetensors seeded/last.safetensors weights

ends "the best are weights" 0 "mIoU" ./prog eval --data builtin:camera:3 --weights whole/best.safetensors
ends "of which nothing is said" 1 "" grep -q warning err
ends "they can be calibrated" 0 "running statistics" \
    ./prog calibrate --data builtin:camera:6 --data builtin:rendered:6 --weights whole/best.safetensors --out new.safetensors
ends "and used" 0 "mIoU" ./prog eval --data builtin:camera:3 --weights new.safetensors
ends "and trained on" 0 "parameters taken" ./prog train "$@" --out on --weights new.safetensors --iterations 1
ends "steps are timed" 0 '"training": true' ./prog bench --training --runs 2 --warmup 1 --json
ends "without the adversary" 0 "" ./prog train "$@" --out alone --set lambda_adv=0
ends "it learns another thing" 0 "" python3 "$differ" whole/last.safetensors alone/last.safetensors weights

# Killed while it saves at every step.
./prog train "$@" --out killed --iterations 100000 --save-every 1 --validate-every 0 --stop-at 1 >out 2>err
kills=${KILLS:-12}
survived=0
for i in $(seq "$kills"); do
    ./prog train --out killed --resume --save-every 1 --validate-every 0 >out 2>err &
    process=$!
    sleep "0.$((2 + i % 5))$((i * 7 % 10))"
    kill -9 $process
    wait $process 2>/dev/null
    if [ $? -eq 137 ]; then survived=$((survived + 1)); else cat err; fi
done
ends "$kills kills" 0 "^$kills$" echo "$survived"
ends "leave a run that goes on" 0 "stopped after iteration" ./prog train --out killed --resume --validate-every 0 --stop-at 1
ends "and no leftovers" 1 "" sh -c 'ls killed | grep tmp'

./prog train --out killed --resume --validate-every 0 >stopped 2>err &
process=$!
sleep 1
kill -TERM $process
wait $process
ends "a signal is no failure" 0 "to go on: ./prog train --out killed --resume" sh -c "cat stopped; exit $?"

sed -e 's/program: small/program: apart/' -e "s|^size:|networks: {apart: {use: $graphs/bisenet.yaml, classes: 19}}\\n&|" small.yaml >apart.yaml
echo 'predict: {network: apart}' >>apart.yaml
ends "what prediction needs is known before the first step" 2 "prediction needs apart" \
    "$segc" run apart.yaml train "$@" --out apart --iterations 1

printf X | dd of=parts/last.safetensors bs=1 seek=60000 conv=notrunc 2>/dev/null
ends "damage is seen" 1 "parts/last.safetensors: this checkpoint is damaged" ./prog train --out parts --resume
ends "a run is not overwritten" 2 "whole holds a run already" ./prog train "$@" --out whole

echo "tests/whole: $passed passed, $failed not"
[ $failed -eq 0 ]
