"""Times gmc beside PyTorch in one run and prints a table: medians, ratio to the better of eager and torch.compile, share of the FMA peak.

  python compare.py [--workloads vae-mlp] [--size tiny] [--threads 2] [--rounds 3] [--gmc build/gmc]

PyTorch and gmc take turns, `rounds` times; a figure is the median over the rounds. Close other programs first: both sides are timed by the wall clock.
"""
import argparse, json, os, statistics, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))


def lines(command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{r.stderr}")
    return [json.loads(x) for x in r.stdout.splitlines() if x.startswith("{")]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--workloads", default="vae-mlp"); p.add_argument("--size", default="tiny"); p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3); p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--gmc", default=os.path.join(HERE, "..", "..", "build", "gmc")); p.add_argument("--modes", default="eager,compile")
    a = p.parse_args()
    print("| workload | what | gmc ms | torch eager ms | torch.compile ms | gmc / better | of FMA peak | gmc MB | torch MB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in a.workloads.split(","):
        ms, mb, share = {}, {}, {}
        for _ in range(a.rounds):
            for row in lines([a.gmc, "bench", name, "--size", a.size, "--threads", str(a.threads), "--seconds", str(a.seconds), "--what", "step,sample", "--peak", "--json"]):
                what = "train" if row["what"] == "step" else row["what"]
                ms.setdefault((what, "gmc"), []).append(row["ms"]); mb[what, "gmc"] = row["peak_mb"]
                share.setdefault(what, []).append(row["product_gflops"] / row["fma_peak_gflops"])
            for row in lines([sys.executable, os.path.join(HERE, "bench.py"), "--threads", str(a.threads), "--modes", a.modes, "--sizes", a.size, "--only", name, "--seconds", str(a.seconds)]):
                if "ms" in row:
                    ms.setdefault((row["what"], row["mode"]), []).append(row["ms"]); mb[row["what"], row["mode"]] = row["peak_mb"]
        for what in ("train", "sample"):
            med = {m: statistics.median(v) for (w, m), v in ms.items() if w == what}
            better = min(v for m, v in med.items() if m != "gmc")
            show = lambda m: f"{med[m]:.3f}" if m in med else "-"
            print(f"| {name} | {what} | {show('gmc')} | {show('eager')} | {show('compile')} | {med['gmc'] / better:.2f} | {100 * statistics.median(share[what]):.0f} % | {mb[what, 'gmc']:.0f} | {min(v for (w, m), v in mb.items() if w == what and m != 'gmc'):.0f} |", flush=True)


if __name__ == "__main__":
    main()
