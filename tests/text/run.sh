#!/bin/sh
# Wrong inputs and the whole message each gets: errors/NAME.yaml beside errors/NAME.err.
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
echo "tests/text: $passed messages as expected, $failed not"
[ $failed -eq 0 ]
