#!/bin/sh
# Runs every fuzzer of a folder for some seconds, starting from what the tests keep as files. What it finds
# worth keeping stays beside the fuzzer for the next time, and so does an input that makes it fail.
# usage: tests/fuzz/run.sh FOLDER [SECONDS]     exit status: 0 none failed, 1 one did
cd "$(dirname "$0")/../.." || exit 3
folder=$1
seconds=${2:-60}
failed=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    case $name in
    fuzz_image) from="tests/fixtures/images" longest=100000 ;;
    fuzz_weights) from="tests/fixtures/weights" longest=100000 ;;
    fuzz_yaml) from="graphs tests/text/errors" longest=4000 ;;
    *) from="tests/fixtures" longest=100000 ;;
    esac
    mkdir -p "$folder/$name.corpus" || exit 3
    echo "== $name, $seconds s"
    # shellcheck disable=SC2086
    if ! "$folder/$name" -max_total_time="$seconds" -max_len=$longest -timeout=20 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$folder/$name." "$folder/$name.corpus" $from >"$folder/$name.log" 2>&1; then
        tail -n 40 "$folder/$name.log"
        failed=$((failed + 1))
    fi
    sed -n 's/^stat::number_of_executed_units: */inputs tried: /p' "$folder/$name.log"
done
echo "tests/fuzz: $failed failed"
[ $failed -eq 0 ]
