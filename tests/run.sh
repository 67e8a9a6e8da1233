#!/bin/sh
# Runs everything that `make test` runs, from a finished build: each part with its time, one closing line.
# usage: tests/run.sh [BUILD]     exit status: 0 all passed, 1 not
cd "$(dirname "$0")/.." || exit 3
build=${1:-build}
output=$(mktemp /tmp/segc-XXXXXX) || exit 3
trap 'rm -f "$output"' EXIT
passed=0
failed=0
times=

# The counts that a part's last lines name: Check's summary or ours; a part without counts is one test.
count()
{
    summary=$(sed -n -e 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
        -e 's/^tests\/[a-z]*: \([0-9]*\) .*, \([0-9]*\) not$/\1 \2/p' "$output" | tail -n 1)
    # shellcheck disable=SC2086
    set -- "$1" $summary
    case $# in
    4) good=$(($2 - $3 - $4)) bad=$(($3 + $4)) ;;
    3) good=$2 bad=$3 ;;
    *) good=$(($1 == 0)) bad=$(($1 != 0)) ;;
    esac
    # A part that broke off after its last count has failed all the same.
    if [ "$1" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
}

part()
{
    name=$1
    shift
    echo "== $name"
    start=$(date +%s)
    { "$@" 2>&1; echo $? >"$output.status"; } | tee "$output"
    status=$(cat "$output.status")
    rm -f "$output.status"
    count "$status"
    passed=$((passed + good))
    failed=$((failed + bad))
    times="$times$(printf '%6d s  %5d passed %3d failed  %s' $(($(date +%s) - start)) "$good" "$bad" "$name")
"
}

export SEGC="$build/segc"
part "suites of tests/unit" "$build/tests/run"
part "messages of tests/text" tests/text/run.sh
part "graphs against their schema" python3 tests/peers/check_schema.py
for script in tests/whole/*.sh; do
    if [ -e "$script" ]; then part "$script" "$script"; fi
done
echo
printf '%s' "$times"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
