"""Times one peer on one network, in a process of its own, and prints one JSON line.

    peer.py PEER NETWORK [--size HxW] [--threads N] [--warmup N] [--runs N] [--classes]

PEER is torch, torch_cl (channels_last), torch_jit (frozen, optimize_for_inference), torch_jit_cl,
torch_compile (inductor with frozen weights), onnxruntime or openvino. Batch 1, float32, weights by
the formula. --classes ends every network in argmax over the classes.

peak_rss_mb is of the whole process; import_rss_mb is what it had after importing the peer, with no
network yet. `output` sums up the result, so that a peer that computes something else is noticed.
"""
import argparse
import json
import os
import resource
import statistics
import time
import warnings

import paths
import formula


def rss_mb():
    """The largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def torch_peer(args, x, compiled="", channels_last=False):
    import torch
    imported = rss_mb()
    from export_onnx import build
    torch.set_num_threads(args.threads)
    net = build(args.network, args.classes)
    x = torch.from_numpy(x)
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        if compiled == "jit":
            net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))
    if compiled == "inductor":
        import torch._inductor.config as config
        config.freezing = True
        net = torch.compile(net)

    def run():
        with torch.no_grad():  # freezing takes weights made outside inference mode only
            return net(x).numpy()

    return imported, torch.__version__, run


def onnxruntime_peer(args, x):
    import onnxruntime
    imported = rss_mb()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    return imported, onnxruntime.__version__, lambda: session.run(None, {"image": x})[0]


def openvino_peer(args, x):
    import openvino
    imported = rss_mb()
    settings = {"INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.compile_model(args.model, "CPU", settings).create_infer_request()
    return imported, openvino.__version__.split("-")[0], lambda: request.infer([x], share_inputs=True, share_outputs=True)[0]


PEERS = {
    "torch": torch_peer,
    "torch_cl": lambda args, x: torch_peer(args, x, channels_last=True),
    "torch_jit": lambda args, x: torch_peer(args, x, compiled="jit"),
    "torch_jit_cl": lambda args, x: torch_peer(args, x, compiled="jit", channels_last=True),
    "torch_compile": lambda args, x: torch_peer(args, x, compiled="inductor"),
    "onnxruntime": onnxruntime_peer,
    "openvino": openvino_peer,
}


def arguments():
    parser = argparse.ArgumentParser(description="time one peer on one network")
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("network")
    parser.add_argument("--size", default="512x1024")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--classes", action="store_true")
    args = parser.parse_args()
    args.height, args.width = map(int, args.size.split("x"))
    args.model = str(paths.onnx_file(args.network, args.height, args.width, args.classes))
    if args.peer in ("onnxruntime", "openvino") and not os.path.exists(args.model):
        parser.error(f"{args.model} is missing: export_onnx.py makes it")
    return args


def main():
    args = arguments()
    warnings.simplefilter("ignore")
    x = formula.image(3, args.height, args.width)
    start = time.perf_counter()
    imported, version, run = PEERS[args.peer](args, x)
    for _ in range(args.warmup):
        run()
    ready = time.perf_counter() - start
    times = []
    for _ in range(args.runs):
        start = time.perf_counter()
        y = run()
        times.append(1000 * (time.perf_counter() - start))
    print(json.dumps({
        "name": args.peer, "version": version, "network": args.network, "size": args.size, "threads": args.threads,
        "median_ms": round(statistics.median(times), 2), "min_ms": round(min(times), 2),
        "max_ms": round(max(times), 2), "runs": args.runs, "ready_s": round(ready, 1),
        "peak_rss_mb": round(rss_mb(), 1), "import_rss_mb": round(imported, 1),
        "output": f"{'x'.join(map(str, y.shape))} mean |y| {abs(y).mean():.5g}",
    }))


if __name__ == "__main__":
    main()
