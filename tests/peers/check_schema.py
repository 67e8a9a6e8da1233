"""Holds graphs/segc.schema.json to compiler/op.def, and every shipped YAML file to the schema.

The part of the schema that follows from the operator table (an `op_NAME` definition per operator, an
`attr_NAME` per attribute, the list that picks among them) is made here; the rest of the file is written
by hand. With --write that part is made anew, as after adding an operator. Needs pyyaml and jsonschema.

    python3 tests/peers/check_schema.py [--write]
"""
import json
import pathlib
import re
import sys

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "graphs/segc.schema.json"
OP_DEF = ROOT / "compiler/op.def"

# ---- op.def ------------------------------------------------------------------------------------


def arguments(text):
    """Splits the arguments of a macro call at its own commas: `a, "b, c", D(e, f)` has three."""
    found, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(text):
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        elif not quoted and c in "(,)":
            if c == "," and depth == 0:
                found.append(text[start:i].strip())
                start = i + 1
            depth += {"(": 1, ")": -1, ",": 0}[c]
    return found + [text[start:].strip()]


def rows(text, macro):
    """The arguments of every call of macro that starts a line."""
    for match in re.finditer(rf"^{macro}\(", text, re.M):
        depth, i, quoted = 1, match.end(), False
        while depth:
            c = text[i]
            if c == '"' and text[i - 1] != "\\":
                quoted = not quoted
            elif not quoted:
                depth += {"(": 1, ")": -1}.get(c, 0)
            i += 1
        yield arguments(text[match.end() : i - 1])


def string(literals):
    """The text of adjacent C string literals; None for NULL."""
    return None if literals == "NULL" else "".join(json.loads(s) for s in re.findall(r'"(?:[^"\\]|\\.)*"', literals))


def read_op_def():
    """(attributes by id, operators by name); internal operators are left out."""
    text = OP_DEF.read_text()
    attrs = {}
    for ident, name, kind, words, summary in rows(text, "ATTR"):
        attrs[ident] = {"name": string(name), "kind": kind, "words": string(words), "summary": string(summary)}
    ops = {}
    for row in rows(text, "OP"):
        name, low, high, internal, listed, summary = string(row[1]), row[3], row[4], row[5], row[6], string(row[-1])
        if internal == "true":
            continue
        inner = listed[len("ATTRS(") : -1].strip()
        ops[name] = {"low": int(low), "high": int(high), "summary": summary,
                     "attrs": [re.fullmatch(r"(\w+)\((.*)\)", a, re.S).groups() for a in arguments(inner) if a]}
    return attrs, ops


# ---- the schema's generated part ---------------------------------------------------------------

VALUES = {"ATTR_INT": "integer", "ATTR_BOOL": "boolean", "ATTR_FLOAT": "number", "ATTR_PAIR": "pair",
          "ATTR_INTS": "integers", "ATTR_FLOATS": "numbers", "ATTR_STRING": "text"}


# What no node says: a program does, where it applies a network.
UNSAID = {"STATISTICS"}


def attribute(attr):
    value = {"enum": attr["words"].split("|")} if attr["words"] else {"$ref": "#/$defs/" + VALUES[attr["kind"]]}
    return {"description": attr["summary"], **value}


def use(attr, how, value):
    """An attribute as one operator has it: with that operator's default."""
    used = {"$ref": "#/$defs/attr_" + attr["name"]}
    if how not in ("REQUIRED", "OPTIONAL"):
        used["default"] = json.loads(value)
    return used


def operator(op, attrs):
    properties = {"op": True, "in": {"$ref": "#/$defs/" + ("reference" if op["high"] == 1 else "references")}}
    required = ["op", "in"]
    for how, listed in op["attrs"]:
        ident, *value = arguments(listed)
        if ident in UNSAID:
            continue
        attr = attrs[ident]
        properties[attr["name"]] = use(attr, how, *value or [None])
        if how == "REQUIRED":
            required.append(attr["name"])
    return {"description": op["summary"], "required": required, "properties": properties,
            "additionalProperties": False}


def generate(schema):
    """The schema with its generated definitions made anew; those by hand stay as they are."""
    attrs, ops = read_op_def()
    defs = {k: v for k, v in schema["$defs"].items() if not k.startswith(("op_", "attr_"))}
    used = {arguments(listed)[0] for op in ops.values() for _, listed in op["attrs"]} - UNSAID
    defs["operator"] = {
        "description": "an operator, or the name of a block or network of this file",
        "anyOf": [{"const": name, "description": op["summary"]} for name, op in ops.items()]
        + [{"type": "string", "not": {"enum": list(ops)}}],
    }
    defs["operators"] = {
        "description": "what the keys of a node are, by its operator; a block's are its settings",
        "allOf": [{"if": {"properties": {"op": {"const": name}}, "required": ["op"]}, "then": {"$ref": "#/$defs/op_" + name}}
                  for name in ops],
    }
    for name, op in ops.items():
        defs["op_" + name] = operator(op, attrs)
    for ident, attr in attrs.items():
        if ident in used:
            defs["attr_" + attr["name"]] = attribute(attr)
    return {**schema, "$defs": defs}


# ---- YAML as segc reads it ---------------------------------------------------------------------


class Loader(yaml.SafeLoader):
    """Keys are names, whatever they look like; plain scalars are numbers, true, false, null or text."""

    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_mapping)
for tag, pattern, first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?\d+", list("-+0123456789")),
    ("float", r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", list("-+.0123456789")),
):
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(rf"^(?:{pattern})$"), first)


def check_file(path, validator):
    """The mistakes of one file, as sentences."""
    content = yaml.load(path.read_text(), Loader)
    name = path.relative_to(ROOT)
    for error in validator.iter_errors(content):
        error = jsonschema.exceptions.best_match([error])
        yield f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message}"


# A network and a program with one thing wrong: what stands there instead of the text on the left.
RIGHT = """
segc: 1
network: small
inputs: {image: [N, 3, H, W]}
nodes:
  a: {op: conv2d, in: image, filters: 8, kernel: [3, 1], padding: 1}
  b: {op: resize, in: [a, image], mode: bilinear}
outputs: {y: b}
predict: {output: y}
preprocess: {channels: rgb, scale: 1 / 255}
classes: [{name: road, color: [128, 64, 128]}]
"""
WRONG = [
    ("segc: 1", "segc: 2"), ("network: small", "network: small net"), ("[N, 3, H, W]", "3"),
    ("op: conv2d, ", ""), ("filters: 8, ", ""), ("in: image", "in: [image, image]"), ("in: image, ", ""),
    ("padding: 1", "pading: 1"), ("padding: 1", "padding: [1, 1, 1]"), ("padding: 1", "bias: maybe"),
    ("mode: bilinear", "mode: cubic"), ("outputs: {y: b}", ""), ("predict: {output: y}", "predict: y"),
    ("channels: rgb", "channels: grb"), ("scale: 1 / 255", "mean: [0, 0]"), ("name: road, ", ""),
    ("128, 64, 128", "128, 64, 256"), ("classes:", "clases:"), ("outputs: {y: b}", "outputs: {y: [b]}"),
]


TRAINS = """
segc: 1
program: small
networks: {net: {use: net.yaml}}
inputs: {source: {image: [N, 3, H, W], label: [N, H, W]}}
tunables: {weight: {value: 0.1, from: 5}, other: 3}
nodes:
  s: {op: net, in: source.image, batch_norm: shared}
  loss: {op: mean, in: s.y}
players:
  g:
    minimizes: loss
    updates: [net]
    optimizer: {adam: {lr: 1e-3, betas: [0.9, 0.99]}}
    schedule: {poly: {power: 0.9}}
    warmup: {steps: 10, factor: 0.1}
    groups: [{parameters: 'net.*', lr_scale: 20}]
train: {batch: 4}
"""
WRONG_TRAINS = [
    ("minimizes", "minimises"), ("updates: [net]", "updates: []"), ("adam:", "adm:"), ("lr: 1e-3", "lr: [1]"),
    ("betas: [0.9, 0.99]", "betas: [0.9]"), ("betas", "beta"), ("poly: {", "poly: {gamma: 1, "), ("{poly: {power: 0.9}}", "linear"),
    ("steps: 10", "step: 10"), ("parameters: 'net.*', ", ""), ("lr_scale", "scale"), ("batch: 4", "epochs: 4"),
    ("value: 0.1", "val: 0.1"), ("other: 3", "other: [3]"), ("players:", "player:"),
]


def check_refusals(validator):
    """The mistakes that the schema does not see."""
    for right, wrong in ((RIGHT, WRONG), (TRAINS, WRONG_TRAINS)):
        if not validator.is_valid(yaml.load(right, Loader)):
            yield "the schema refuses a right file"
        for old, new in wrong:
            if validator.is_valid(yaml.load(right.replace(old, new, 1), Loader)):
                yield f"the schema accepts '{new}' for '{old}'"


def main():
    schema = json.loads(SCHEMA.read_text())
    made = generate(schema)
    if "--write" in sys.argv[1:]:
        SCHEMA.write_text(json.dumps(made, indent=1) + "\n")
        schema = made
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    mistakes = list(check_refusals(validator))
    if schema != made:
        keys = schema["$defs"].keys() | made["$defs"].keys()
        differ = sorted(k for k in keys if schema["$defs"].get(k) != made["$defs"].get(k))
        mistakes.append(f"{SCHEMA.relative_to(ROOT)}: not as compiler/op.def has it: {', '.join(differ)}")
    files = sorted((ROOT / "graphs").rglob("*.yaml"))
    for path in files:
        mistakes += check_file(path, validator)
    for mistake in mistakes:
        print(mistake)
    print(f"{len(files)} files, {len(mistakes)} mistakes")
    return bool(mistakes or not files)


if __name__ == "__main__":
    sys.exit(main())
