#!/bin/sh
# The README's tour: its network is copied out of it, its commands are run, and every line that they print must
# stand in it.
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

awk '/^```yaml$/ { on = 1; next } /^```$/ && on { exit } on' "$readme" >network
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
echo "tests/whole: $passed steps as expected, $failed not"
[ $failed -eq 0 ]
