"""Runs PyTorch's training steps and a command of ours in turns, and prints a table.

    compare_train.py PROGRAM [--threads N] [--rounds N] [--runs N] [--ours 'COMMAND ...']

As compare.py, for peer_train.py. Exit status 1 if ours is slower than PyTorch or needs more than half of its memory,
3 if a run failed.
"""
import argparse
import os
import shlex
import sys

import compare
import paths

HERE = paths.ROOT / "bench" / "peers"


def main():
    parser = argparse.ArgumentParser(description="time training steps in turns")
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--ours", metavar="COMMAND", required=True)
    args = parser.parse_args()
    peer = [sys.executable, str(HERE / "peer_train.py"), args.program, "--threads", str(args.threads), "--runs", str(args.runs)]
    found = {"ours": shlex.split(args.ours) + ["--runs", str(args.runs)], "torch": peer, "torch_cl": peer + ["--channels_last"]}
    rows = {name: compare.summary(runs) for name, runs in compare.measure(found, args.rounds).items()}
    print(f"{args.program} training step, {args.threads} threads, {args.rounds} rounds of {args.runs} runs; "
          f"load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors")
    compare.print_table(rows, "ours")
    peers = [row for name, row in rows.items() if name != "ours"]
    speed = min(row["median_ms"] for row in peers) / rows["ours"]["median_ms"]
    memory = rows["ours"]["peak_rss_mb"] / min(row["peak_rss_mb"] for row in peers)
    print(f"ours is {speed:.2f} times as fast as the faster PyTorch and takes {memory:.2f} of the memory of the leaner")
    sys.exit(0 if speed >= 1 and memory <= 0.5 else 1)


if __name__ == "__main__":
    main()
