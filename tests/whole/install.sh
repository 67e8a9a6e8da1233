#!/bin/sh
# What `make install` leaves works on its own: the installed segc finds the shipped graphs and its runtime library,
# and the installed headers are all that a C program needs.
# usage: tests/whole/install.sh     SEGC=FOLDER/segc: install from that build folder instead of build
cd "$(dirname "$0")/../.." || exit 3
build=$(dirname "${SEGC:-build/segc}")
client=$PWD/tests/whole/client.c
. tests/whole/steps

root=$room/root/usr
segc=$root/bin/segc
says "installs" "${MAKE:-make}" install BUILD="$build" DESTDIR="$room/root" PREFIX=/usr
says "leaves nothing that only root may read" test -z "$(find "$room/root" ! -perm -a+r)"
says "installs the man page" test -s "$root/share/man/man1/segc.1"
mkdir "$room/empty"
cd "$room/empty" || exit 3
says "finds a shipped network" "$segc" check bisenet.yaml
says "finds what a shipped program uses" "$segc" check programs/demo.yaml
says "builds a program" "$segc" build bisenet.yaml --size 64x96 -o prog
says "the program runs" ./prog info
says "builds an object" "$segc" build espnet_camvid.yaml --size 64x96 --emit object -o net.o
says "C finds the headers and libraries" "${CC:-cc}" -I"$root/include/segc" "$client" net.o "$root/lib/segc/libsegrt.a" \
    "$root/lib/segc/libsegrt_images.a" -lm -lpthread -o client
says "C calls it" ./client
echo "tests/whole: $passed steps as expected, $failed not"
[ $failed -eq 0 ]
