#!/bin/sh
# Who may include whom. The compiler sees itself and program.h; codegen sees the compiler, and the runtime's contract with
# programs; the runtime sees itself. compiler/main.c, command.*, bench*, data_* and gradcheck* are the command line, which
# puts them together.
# LLVM's headers are for codegen/cpu_* alone.
# usage: tests/include_directions.sh     exit status: 0 so it is, 1 not
cd "$(dirname "$0")/.." || exit 3
wrong=0

complain()
{
    echo "$1: error: $2 may not include $3"
    wrong=$((wrong + 1))
}

# may_see FOLDER FILE HEADER: whether the rule of FOLDER allows FILE the header.
may_see()
{
    header=${3##*/}
    case $2 in
    compiler/main.c | compiler/command.[ch] | compiler/bench* | compiler/data_* | compiler/gradcheck*) return 0 ;;
    esac
    [ -e "$1/$header" ] && return 0
    [ "$1/$header" = compiler/program.h ] && return 0 # what both sides share
    [ "$1" = codegen ] || return 1
    case $header in
    program.h | rt_status.h | segrt.h | rt_cpu.h) return 0 ;; # rt_cpu.h: the same names of CPU features
    esac
    [ -e "compiler/$header" ]
}

for folder in compiler codegen runtime; do
    for file in "$folder"/*.[ch] "$folder"/*.def; do
        [ -e "$file" ] || continue
        # shellcheck disable=SC2013
        for header in $(sed -n 's/^#include "\(.*\)".*/\1/p' "$file"); do
            may_see $folder "$file" "$header" || complain "$file" "$folder" "$header"
        done
        case $file in codegen/cpu_*) continue ;; esac
        # shellcheck disable=SC2013
        for header in $(sed -n 's/^#include <\(llvm.*\)>.*/\1/p' "$file"); do
            complain "$file" "$folder but for cpu_*" "$header"
        done
    done
done
[ $wrong -eq 0 ]
