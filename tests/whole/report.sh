#!/bin/sh
# A report from runs that were really trained: two seeds of one program and one of another, whose page and
# table are checked to be well formed.
# usage: tests/whole/report.sh     SEGC=PROGRAM overrides build/segc
cd "$(dirname "$0")/../.." || exit 3
segc=$(realpath "${SEGC:-build/segc}")
graphs=$PWD/graphs/programs
. tests/whole/steps
cd "$room" || exit 3

cat >check.py <<'END'
import re, struct, base64, sys
import xml.etree.ElementTree as tree
from html.parser import HTMLParser

page = open("report/report.html", encoding="utf-8").read()
void = {"meta", "img", "br"}

class Nesting(HTMLParser):
    open_tags = []
    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes), (tag, attributes)
        for name, value in attributes:
            assert name not in ("src", "href") or value.startswith("data:image/png;base64,"), value[:80]
        if tag not in void:
            self.open_tags.append(tag)
    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.open_tags, tag
    def handle_endtag(self, tag):
        assert self.open_tags and self.open_tags.pop() == tag, (tag, self.getpos())

parser = Nesting()
parser.feed(page)
parser.close()
assert not parser.open_tags, parser.open_tags
charts = re.findall(r"<svg.*?</svg>", page, re.S)
assert len(charts) >= 4, len(charts)
identifiers = re.findall(r' id="([^"]*)"', page)
assert len(set(identifiers)) == len(identifiers)
for chart in charts:
    assert tree.fromstring(chart).get("viewBox")
assert "nan" not in "".join(charts) and "inf" not in "".join(charts)
pictures = [base64.b64decode(p, validate=True) for p in re.findall(r'base64,([^"]*)"', page)]
assert len(pictures) == 2 * (2 + 3), len(pictures)
for picture in pictures:
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">2I", picture[16:24]) == (64, 32)
rows = open("report/report.md", encoding="utf-8").read().splitlines()
assert len(rows) == 2 + 3 + 1, rows
assert len({row.count("|") for row in rows}) == 1
assert "\u00b1" in rows[4] and "street_source_only" in rows[4], rows[4]
END

train()
{
    program=$1 run=$2 seed=$3
    shift 3
    "./$program" train "$@" --val builtin:camera:2 --out "$run" --seed "$seed" --iterations 4 --log-every 1 \
        --validate-every 2 --threads 2
}

for program in street_source_only street_control; do
    says "builds $program" "$segc" build "$graphs/$program.yaml" -o $program --size 32x64 --set width=8
done
says "trains" train street_source_only one 0 --data builtin:rendered:4
says "trains with another seed" train street_source_only two 1 --data builtin:rendered:4
says "trains another program" train street_control three 0 --data source=builtin:rendered:4 --data target=builtin:camera:4
says "reports" ./street_source_only report one two three --pictures 2 --threads 2
says "page and table are well formed" python3 check.py
says "the other program reports too" ./street_control report one two three --pictures 2 --out other --threads 2
cut -d'|' -f2-5 report/report.md >here
cut -d'|' -f2-5 other/report.md >there
says "experiments, seeds and scores are the same" cmp here there
says "two runs are one experiment" grep -q '^| \*\*street_source_only\*\* | 2 seeds |' report/report.md

# A run that was killed while it wrote a line.
printf '{"event": "step", "iter' >>two/log.jsonl
says "reports a killed run" ./street_source_only report one two three --pictures 2 --threads 2
says "and says so" grep -q 'the last line of its log is cut off' report/report.html
says "still well formed" python3 check.py
echo "tests/whole: $passed steps as expected, $failed not"
[ $failed -eq 0 ]
