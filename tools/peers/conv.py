"""Times the convolutions of the workloads, forward and both gradients, in gmc (bench_conv) and in PyTorch eager (oneDNN), one after the other, and prints a table.

  python conv.py [--only 'vae-conv tiny'] [--threads 1] [--seconds 0.2] [--bench build/bench_conv]

Both sides show their least time by the wall clock; the share is that of the FMA peak which bench_conv measures.
"""
import argparse, json, math, os, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))


def least(run, seconds):
    run()
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def main():
    import torch
    p = argparse.ArgumentParser()
    p.add_argument("--only", default=""); p.add_argument("--threads", type=int, default=1); p.add_argument("--seconds", type=float, default=0.2)
    p.add_argument("--bench", default=os.path.join(HERE, "..", "..", "build", "bench_conv"))
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    r = subprocess.run([a.bench, "--json", "--threads", str(a.threads), "--seconds", str(a.seconds), "--only", a.only], capture_output=True, text=True)
    if r.returncode:
        sys.exit(r.stderr)
    print("| convolution | what | gmc ms | of the peak | PyTorch ms | gmc / PyTorch |")
    print("|---|---|---:|---:|---:|---:|")
    total = {"gmc": 0.0, "torch": 0.0}
    for c in map(json.loads, r.stdout.splitlines()):
        n, k, t = c["n"], c["k"], c["transposed"]
        x, w = torch.randn(n, c["c"], c["size"], c["size"]), torch.randn(*((c["c"], c["o"]) if t else (c["o"], c["c"])), k, k)
        pair = lambda v: [v, v]
        forward = lambda: torch.convolution(x, w, None, pair(c["step"]), pair(c["padding"]), [1, 1], t, [0, 0], 1)
        g = torch.randn_like(forward())
        mask = [c["what"] == "dx", c["what"] == "dw", False]
        back = lambda: torch.ops.aten.convolution_backward(g, x, w, None, pair(c["step"]), pair(c["padding"]), [1, 1], t, [0, 0], 1, mask)
        with torch.no_grad():
            s = least(forward if c["what"] == "forward" else back, a.seconds)
        total["gmc"] += c["seconds"]; total["torch"] += s
        print(f"| {c['name']} | {c['what']} | {c['seconds'] * 1e3:.3f} | {100 * c['flops'] / c['seconds'] / c['peak']:.0f} % | {s * 1e3:.3f} | {c['seconds'] / s:.2f} |", flush=True)
    print(f"| in all | | {total['gmc'] * 1e3:.1f} | | {total['torch'] * 1e3:.1f} | {total['gmc'] / total['torch']:.2f} |")


if __name__ == "__main__":
    main()
