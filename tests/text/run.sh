#!/bin/sh
# Goldens of the command line: wrong inputs and the whole message each gets (errors/NAME.yaml beside errors/NAME.err), and
# stages of the compilation (stages/NAME.yaml beside stages/NAME.STAGE, for a fixed processor and size).
# usage: tests/text/run.sh [--rewrite] [NAME...]     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=${SEGC:-build/segc}
rewrite=no
if [ "$1" = --rewrite ]; then
    rewrite=yes
    shift
fi
got=$(mktemp /tmp/segc-XXXXXX) || exit 3
trap 'rm -f "$got" "$got.raw"' EXIT
folder=$(cd "$(dirname "$segc")" && pwd -P)
passed=0
failed=0
for yaml in tests/text/errors/*.yaml; do
    name=$(basename "$yaml" .yaml)
    if [ $# -gt 0 ]; then
        case " $* " in *" $name "*) ;; *) continue ;; esac
    fi
    "$segc" check "$yaml" >/dev/null 2>"$got.raw"
    status=$?
    # Files are looked for beside the executable too, wherever that is.
    sed "s|$folder|BUILD|g" "$got.raw" >"$got"
    golden=tests/text/errors/$name.err
    if [ $rewrite = yes ]; then cp "$got" "$golden"; fi
    if [ $status -ne 1 ]; then
        echo "$yaml: exit status $status, not 1"
        failed=$((failed + 1))
    elif ! diff -u "$golden" "$got"; then
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
done
for golden in tests/text/stages/*.*; do
    stage=${golden##*.}
    yaml=${golden%.*}.yaml
    name=$(basename "$yaml" .yaml)
    [ "$stage" != yaml ] || continue
    if [ $# -gt 0 ]; then
        case " $* " in *" $name "*) ;; *) continue ;; esac
    fi
    "$segc" show "$yaml" --cpu x86-64-v3 --size 16x24 --stage "$stage" >"$got" 2>&1
    if [ $rewrite = yes ]; then cp "$got" "$golden"; fi
    if diff -u "$golden" "$got"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "tests/text: $passed texts as expected, $failed not"
[ $failed -eq 0 ]
