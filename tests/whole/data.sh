#!/bin/sh
# Data sets as a user meets them: checked, converted, checked again, and compared with what a built program reads.
# usage: tests/whole/data.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=$(realpath "${SEGC:-build/segc}")
data=$PWD/graphs/data
network=$PWD/graphs/espnet_cityscapes.yaml
. tests/whole/steps
cd "$room" || exit 3

# Pictures in Cityscapes' layout: photographs that are noise, labels of ids 7 (road), 23 (sky), 26 (car) and 4 (void), the
# same as train ids, and the same in colours.
python3 - <<'END' || exit 3
import os, struct, zlib

def png(path, width, height, kind, rows, palette=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)))
        if palette:
            file.write(chunk(b"PLTE", palette))
        file.write(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b""))

W, H = 32, 16
ids = (7, 23, 26, 4)
trains = {7: 0, 23: 10, 26: 13, 4: 255}
colors = {7: (128, 64, 128), 23: (70, 130, 180), 26: (0, 0, 142), 4: (0, 0, 0)}
for split, city, names in (("train", "ulm", "ab"), ("train", "bern", "c"), ("val", "kiel", "de")):
    for name in names:
        at = [[ids[(x // 4 + y + ord(name)) % 4] for x in range(W)] for y in range(H)]
        photo = [bytes((x * 7 + y * 3 + c * 50) % 256 for x in range(W) for c in range(3)) for y in range(H)]
        stem = f"{split}/{city}/{city}_{name}"
        png(f"city/leftImg8bit/{stem}_leftImg8bit.png", W, H, 2, photo)
        png(f"city/gtFine/{stem}_gtFine_labelIds.png", W, H, 0, [bytes(row) for row in at])
        png(f"city/gtFine/{stem}_gtFine_labelTrainIds.png", W, H, 0, [bytes(trains[i] for i in row) for row in at])
        png(f"city/gtFine/{stem}_gtFine_color.png", W, H, 2, [bytes(v for i in row for v in colors[i]) for row in at])
        palette = bytearray(3 * 34)
        for i in ids:
            palette[3 * i:3 * i + 3] = bytes(colors[i])
        png(f"game/images/{city}_{name}.png", W, H, 2, photo)
        png(f"game/labels/{city}_{name}.png", W, H, 3, [bytes(row) for row in at], bytes(palette))
END
same_labels()
{
    for name in ulm_a ulm_b bern_c; do
        cmp "$1/$name$2.png" "reference/$name.png" || return 1
    done
}

ends "checks a layout" 0 '^cityscapes:city@train: 3 pairs read, 0 with faults, 0 missing$' \
    "$segc" data check cityscapes:city@train --data "$data/cityscapes.yaml"
ends "shows the share of each class" 0 '^road  *25.000  *384  *3$' \
    "$segc" data check cityscapes:city@train --data "$data/cityscapes.yaml"
ends "another split" 0 '2 pairs read' "$segc" data check cityscapes:city@val --data "$data/cityscapes.yaml"
ends "lists the splits" 2 'there are: train, val' "$segc" data check cityscapes:city --data "$data/cityscapes.yaml"
ends "a particular layout" 0 'labels by cityscapes.train_ids' \
    "$segc" data check cityscapes.train_ids:city@train --data "$data/cityscapes.yaml"
ends "a palette by its colours" 0 'labels by gta5.colors' "$segc" data check gta5:game --data "$data/gta5.yaml"
ends "a palette by its indices" 0 'labels by cityscapes.label_ids' \
    "$segc" data check images:game/images,labels:game/labels,encoding=label_ids --data "$data/cityscapes.yaml"
ends "the wrong encoding, and the likely cause" 1 'add ,encoding=cityscapes.label_ids' \
    "$segc" data check images:game/images,labels:game/labels --data "$data/cityscapes.yaml"

# Whatever the encoding, the train ids are the same, to the byte.
ends "converts train ids" 0 '3 labels written to one; one/list.txt' \
    "$segc" data convert cityscapes.train_ids:city@train --data "$data/cityscapes.yaml" -o one
mkdir reference
for name in ulm_a ulm_b bern_c; do cp "one/${name}_gtFine_labelTrainIds.png" reference/$name.png || exit 3; done
ends "converts label ids" 0 '3 labels written' \
    "$segc" data convert cityscapes:city@train --data "$data/cityscapes.yaml" -o two
ends "they are the same" 0 '' same_labels two _gtFine_labelIds
for split in train/ulm train/bern; do cp city/gtFine/$split/*_color.png . || exit 3; done
for name in ulm_a ulm_b bern_c; do
    echo "city/leftImg8bit/train/${name%_*}/${name}_leftImg8bit.png ${name}_gtFine_color.png"
done >colors.txt
ends "converts colours, unasked" 0 '3 labels written' \
    "$segc" data convert colors.txt --data "$data/cityscapes.yaml" -o three
ends "they are the same" 0 '' same_labels three _gtFine_color
ends "converts palettes" 0 '5 labels written' "$segc" data convert gta5:game --data "$data/gta5.yaml" -o four
ends "they are the same" 0 '' same_labels four ''
ends "what was made is a data set" 0 '3 pairs read, 0 with faults' \
    "$segc" data check two/list.txt --data "$data/cityscapes.yaml"
ends "does not replace its input" 2 'is one of the inputs, and a result would replace it' \
    "$segc" data convert two/list.txt --data "$data/cityscapes.yaml" -o two

ends "a part of a set" 0 '2 pairs read' "$segc" data check two/list.txt,count=2,seed=7 --data "$data/cityscapes.yaml"
echo ulm_b >names
ends "named pictures" 0 '1 pairs read' \
    "$segc" data check cityscapes:city@train,only=names --data "$data/cityscapes.yaml"
ends "pictures alone" 0 '5 images read' "$segc" data check images:game/images --data "$data/cityscapes.yaml"

# Faults, each named, all in the report.
rm city/gtFine/train/ulm/ulm_a_gtFine_labelIds.png
photo=city/leftImg8bit/train/bern/bern_c_leftImg8bit.png
head -c 60 $photo >part
mv part $photo
ends "faults give status 1" 1 '2 pairs read, 1 with faults, 1 missing' \
    "$segc" data check cityscapes:city@train --data "$data/cityscapes.yaml" --report report.txt
ends "the report names what is missing" 0 'no label for city/leftImg8bit/train/ulm/ulm_a_leftImg8bit.png' cat report.txt
ends "the report names what is damaged" 0 'bern_c_leftImg8bit.png: damaged PNG' cat report.txt
ends "no such split" 1 'splits there: train, val' "$segc" data check cityscapes:city@test --data "$data/cityscapes.yaml"
ends "a file that is no data set" 1 "it has no 'data', which names it" "$segc" data check names --data "$network"
ends "no data set given" 2 'add --data cityscapes' "$segc" data check names
ends "an unknown job" 2 "data does check or convert, not 'chekc'" "$segc" data chekc names
ends "help" 0 'SET:DIR@SPLIT' "$segc" data check --help

# A program carries what its file says of data sets.
printf 'segc: 1\nprogram: p\nnetworks: {n: {use: %s}}\npredict: {network: n}\nclasses: %s\nsize: [16, 32]\n' \
    "$room/net.yaml" "$data/cityscapes.yaml" >program.yaml
printf 'segc: 1\nnetwork: n\ninputs: {image: [N, 3, H, W]}\nnodes: {c: {op: conv2d, in: image, filters: 19, kernel: 1}}\noutputs: {y: c}\n' \
    >net.yaml
ends "builds" 0 '' "$segc" build program.yaml -o prog
mv city/gtFine elsewhere
ends "a program says what it cannot find" 1 'no image below city has a label' env -i ./prog eval --data cityscapes:city@val
mv elsewhere city/gtFine
ends "a program reads a layout" 0 '^2 pairs, compared' env -i ./prog eval --data cityscapes:city@val
env -i ./prog eval --data cityscapes:city@val 2>/dev/null >first
printf 'kiel_d\nkiel_e\n' >kiel
ends "a program reads palettes" 0 '^2 pairs, compared' \
    env -i ./prog eval --data images:game/images,labels:game/labels,encoding=label_ids,only=kiel
echo ulm_b_leftImg8bit >names
ends "a program reads colours" 0 '^1 pairs, compared' env -i ./prog eval --data colors.txt,only=names
ends "a program knows its encodings" 2 'there are: cityscapes.train_ids, cityscapes.label_ids, cityscapes.colors' \
    env -i ./prog eval --data colors.txt,encoding=colours
ends "both say the same" 0 '' sh -c \
    'env -i ./prog eval --data images:game/images,labels:game/labels,encoding=label_ids,only=kiel | cmp - first'
echo "tests/whole: $passed steps as expected, $failed not"
[ $failed -eq 0 ]
