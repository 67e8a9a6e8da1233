"""Runs the peers and a command of ours in turns, several rounds, and prints a table.

    compare.py NETWORK [--size HxW] [--threads N] [--rounds N] [--runs N] [--peers A,B,...] [--classes]
               [--ours 'COMMAND ...'] [--json FILE]

Every run is a process of its own, and each round starts with another one, so that what else the
machine does falls on all alike. COMMAND ends its output with a JSON object with name, median_ms, min_ms and
peak_rss_mb, or, as `PROG bench --json` has it, peak_resident_bytes. A time is the median of the rounds'
medians; memory is the largest seen.
Exit status 1 if ours is slower than the best peer or needs more memory than the leanest, 2 if the
command line is wrong, 3 if a run failed.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys

import paths

HERE = paths.ROOT / "bench" / "peers"
PEERS = ("torch", "torch_cl", "torch_jit", "torch_jit_cl", "torch_compile", "onnxruntime", "openvino")


def arguments():
    parser = argparse.ArgumentParser(description="time the peers and a command of ours in turns")
    parser.add_argument("network")
    parser.add_argument("--size", default="512x1024")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--ours", metavar="COMMAND")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    args.peers = [peer for peer in args.peers.split(",") if peer]
    unknown = set(args.peers) - set(PEERS)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if not args.peers and not args.ours:
        parser.error("nothing to run: --peers is empty and --ours is not given")
    return args


def commands(args):
    """What to run, by name; ours first. Exports the ONNX file if a peer wants it and it is not there."""
    found = {}
    if args.ours:
        found["ours"] = shlex.split(args.ours)
    for peer in args.peers:
        command = [sys.executable, str(HERE / "peer.py"), peer, args.network, "--size", args.size,
                   "--threads", str(args.threads), "--runs", str(args.runs)]
        found[peer] = command + (["--classes"] if args.classes else [])
    size = args.size.split("x")
    model = paths.onnx_file(args.network, *size, args.classes)
    if {"onnxruntime", "openvino"} & set(found) and not model.exists():
        command = [sys.executable, str(HERE / "export_onnx.py"), args.network, *size]
        subprocess.run(command + (["--classes"] if args.classes else []), check=True)
    return found


def run_once(name, command):
    """The JSON object that ends the command's output, or a sentence and exit status 3."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    start = ("\n" + done.stdout).rfind("\n{")
    if done.returncode == 0 and start >= 0:
        try:
            result = json.loads(done.stdout[start:])
            if "peak_resident_bytes" in result:
                result["peak_rss_mb"] = result["peak_resident_bytes"] / 2**20
            return result
        except json.JSONDecodeError:
            pass
    tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
    sys.stderr.write(f"compare.py: {name} gave no JSON (exit status {done.returncode}): " + " / ".join(tail) + "\n")
    sys.exit(3)


def measure(found, rounds):
    """results[name] = its JSON objects, one per round."""
    results = {name: [] for name in found}
    names = list(found)
    for i in range(rounds):
        for name in names[i % len(names):] + names[:i % len(names)]:
            results[name].append(run_once(name, found[name]))
            sys.stderr.write(f"round {i + 1}/{rounds}  {name:14s} {results[name][-1]['median_ms']:9.1f} ms\n")
    return results


def summary(runs):
    """One row from a name's rounds."""
    return {
        "median_ms": statistics.median(r["median_ms"] for r in runs),
        "min_ms": min(r["min_ms"] for r in runs),
        "peak_rss_mb": max(r["peak_rss_mb"] for r in runs),
        "import_rss_mb": max(r.get("import_rss_mb", 0) for r in runs),
        "output": runs[-1].get("output", ""),
    }


def print_table(rows, base):
    """Fastest first; `x` is the time as a multiple of the base's."""
    print(f"{'':14s} {'median ms':>10s} {'min ms':>9s} {'x ' + base:>16s} {'peak RSS MB':>12s} {'of that import':>15s}  output")
    for name, row in sorted(rows.items(), key=lambda item: item[1]["median_ms"]):
        ratio = row["median_ms"] / rows[base]["median_ms"]
        print(f"{name:14s} {row['median_ms']:10.1f} {row['min_ms']:9.1f} {ratio:16.2f} {row['peak_rss_mb']:12.0f} "
              f"{row['import_rss_mb']:15.0f}  {row['output']}")


def verdict(rows):
    """Prints how ours compares; whether it holds."""
    peers = {name: row for name, row in rows.items() if name != "ours"}
    fastest = min(peers, key=lambda name: peers[name]["median_ms"])
    leanest = min(peers, key=lambda name: peers[name]["peak_rss_mb"])
    speed = peers[fastest]["median_ms"] / rows["ours"]["median_ms"]
    memory = rows["ours"]["peak_rss_mb"] / peers[leanest]["peak_rss_mb"]
    print(f"ours is {speed:.2f} times as fast as {fastest} and takes {memory:.2f} of the memory of {leanest}")
    return speed >= 1 and memory < 1


def main():
    args = arguments()
    results = measure(commands(args), args.rounds)
    rows = {name: summary(runs) for name, runs in results.items()}
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)
    print(f"{args.network} {args.size}, batch 1, {args.threads} threads, {args.rounds} rounds of {args.runs} runs; "
          f"load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors")
    print_table(rows, "ours" if args.ours else min(rows, key=lambda name: rows[name]["median_ms"]))
    sys.exit(0 if not args.ours or len(rows) == 1 or verdict(rows) else 1)


if __name__ == "__main__":
    main()
