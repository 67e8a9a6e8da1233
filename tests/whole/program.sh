#!/bin/sh
# A program from its YAML to pictures: built, carried to an empty folder, and run there with nothing around
# it; results don't depend on threads or on being compiled in memory.
# usage: tests/whole/program.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=$(realpath "${SEGC:-build/segc}")
graph=$PWD/graphs/espnet_camvid.yaml
runtime=$PWD/runtime
archives="$(dirname "$segc")/libsegrt.a $(dirname "$segc")/libsegrt_images.a"
client=$PWD/tests/whole/client.c
images=$PWD/tests/fixtures/images
. tests/whole/steps
cd "$room" || exit 3

same() { diff -r "$1" "$2"; }
needs_only_libc()
{
    ! ldd ./prog | grep -v -e linux-vdso -e libm.so -e libc.so -e ld-linux -e libpthread
}
alone() { env -i "$@"; }

mkdir in
cp "$images/rgb8.png" "$images/grey_alpha8.png" "$images/jpeg_420.jpg" in || exit 3

says "builds" "$segc" build "$graph" --size 64x96 -o prog
says "links nothing but libc" needs_only_libc
says "tells what it is" alone ./prog info
# A program for another machine: the list of features it needs, one of them unknown here.
sed 's/sse3,ssse3,/sse3,zsse3,/' prog >elsewhere
chmod +x elsewhere
ends "refuses a processor without its features" 3 "built for zsse3" alone ./elsewhere bench --runs 1
ends "counts its parameters" 0 '"parameters_deployed": [1-9]' alone ./prog info --json
says "predicts" alone ./prog predict in -o one --color --overlay --threads 1
says "predicts on three threads" alone ./prog predict in -o three --color --overlay --threads 3
says "three threads give the same bytes" same one three
says "runs in memory" "$segc" run "$graph" --size 64x96 predict in -o memory --color --overlay
says "in memory gives the same bytes" same one memory
says "builds for batches of two" "$segc" build "$graph" --size 64x96 --batch 2 -o pair
says "predicts in batches" alone ./pair predict in -o pair.out --color --overlay
says "the last batch may be part empty" test "$(ls pair.out)" = "$(ls one)"
ends "another seed gives other weights" 1 . sh -c './prog predict in -o seed --color --overlay --seed 1 && diff -r one seed'
ends "times itself" 0 '^median ' alone ./prog bench --runs 3 --kernels
ends "names what it cannot read" 1 'gone.png' alone ./prog predict gone.png -o out.d
ends "suggests a verb" 2 'did you mean predict' ./prog predcit

says "builds an object" "$segc" build "$graph" --size 64x96 --emit object -o net.o
# shellcheck disable=SC2086  # two archives
says "C links it" "${CC:-cc}" -I"$runtime" "$client" net.o $archives -lm -lpthread -o client
ends "C calls it" 0 '^class [0-9]* in [0-9]* of 600 pixels$' ./client
says "builds a library" "$segc" build "$graph" --size 64x96 --emit shared -o libnet.so
says "C links the library" "${CC:-cc}" -I"$runtime" "$client" ./libnet.so -o client_so
./client >first
ends "C calls the library" 0 "$(cat first)" ./client_so
# shellcheck disable=SC2086
says "C++ links it" "${CXX:-c++}" -I"$runtime" -x c++ "$client" -x none net.o $archives -lm -lpthread -o client_cc
./client >first
ends "C++ calls it" 0 "$(cat first)" ./client_cc
echo "tests/whole: $passed steps as expected, $failed not"
[ $failed -eq 0 ]
