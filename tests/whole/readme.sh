#!/bin/sh
# The README's tour: its network is copied out of it, its commands are run, and every line that they print must
# stand in it. Its training program is trained for some steps.
# usage: tests/whole/readme.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
built=$(realpath "$(dirname "${SEGC:-build/segc}")")
graphs=$PWD/graphs
readme=$PWD/README.md
picture=$PWD/tests/fixtures/images/jpeg_420.jpg
room=$(mktemp -d /tmp/segc-XXXXXX) || exit 3
trap 'rm -rf "$room"' EXIT
cd "$room" || exit 3
# The shipped graphs are found from wherever the build folder is.
mkdir build
cp "$built/segc" "$built"/libsegrt*.a build
ln -s "$graphs" graphs
segc=build/segc
passed=0
failed=0

# shown WHAT: every line of the file `got` stands in the README.
shown()
{
    if [ -s got ] && ! grep -vxFf "$readme" got; then
        passed=$((passed + 1))
    else
        echo "not: README.md shows what $1 prints"
        failed=$((failed + 1))
    fi
}

# The README's yaml block of that number.
block()
{
    awk -v wanted="$1" '/^```yaml$/ { on = ++blocks == wanted; next } /^```$/ { on = 0 } on' "$readme"
}

# works WHAT COMMAND...: it must end with 0.
works()
{
    what=$1
    shift
    if "$@" >got 2>&1; then
        passed=$((passed + 1))
    else
        echo "not: $what"
        tail -n 20 got
        failed=$((failed + 1))
    fi
}

block 1 >network
cp network tiny.yaml
"$segc" check tiny.yaml >got 2>&1
shown "check"
"$segc" stats tiny.yaml | tail -n 8 >got 2>&1
shown "stats"
sed 's/op: relu,/op: rellu,/' network >tiny.yaml
"$segc" check tiny.yaml >got 2>&1
shown "check of a misspelt operator"
sed 's/op: resize,/op: add,/' network >tiny.yaml
"$segc" check tiny.yaml >got 2>&1
shown "check of shapes that do not fit"
cp network tiny.yaml
"$segc" build tiny.yaml -o tiny
ldd tiny | awk '{ print $1 }' >got
shown "ldd"
cp "$picture" street.jpg
./tiny predict street.jpg -o out --overlay >got 2>&1
shown "predict"

block 2 >adapt.yaml
works "the training program builds" "$segc" build adapt.yaml -o adapt --size 64x128 --batch 2
works "it trains" ./adapt train --data source=builtin:rendered:4 --data target=builtin:camera:4,seed=10000 \
    --val builtin:camera:2,seed=20000 --out run --iterations 2
works "it goes on" ./adapt train --data source=builtin:rendered:4 --data target=builtin:camera:4,seed=10000 \
    --val builtin:camera:2,seed=20000 --out run --iterations 3 --resume
works "it calibrates" ./adapt calibrate --data builtin:camera:4 --weights run/best.safetensors --out calibrated.safetensors
works "it predicts" ./adapt predict street.jpg --weights run/best.safetensors -o out
works "it reports" ./adapt report run --data builtin:camera:1
echo "tests/whole: $passed steps as expected, $failed not"
[ $failed -eq 0 ]
