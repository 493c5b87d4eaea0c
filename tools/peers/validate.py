"""Validates weights that gmc trained as train.py validates its own: the same batches, the same noise, PyTorch's forward pass.

  python validate.py --workload vae-mlp --weights OUT/last.safetensors [--size tiny] [--config '{"d": 64}'] [--data ../data]

Loads a state dict (safetensors under PyTorch's names, what `gmc train --out` leaves; optimizer and counters aside) into the workload and prints the mean loss of 20 batches drawn
with seed 1234 from the validation part. A missing or unknown weight is an error.
"""
import argparse, json, os, sys
import torch
from safetensors.torch import load_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from train import source
from workloads import WORKLOADS


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--workload", required=True); p.add_argument("--weights", required=True); p.add_argument("--size", default="tiny"); p.add_argument("--config", default="{}")
    p.add_argument("--data", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")); p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    kind = WORKLOADS[a.workload]
    w = kind({**kind.SIZES[a.size], **json.loads(a.config)})
    w.start()
    stored, own = load_file(a.weights), w.state_dict()
    missing = [n for n in own if n not in stored and not n.endswith("num_batches_tracked")]
    if missing:
        sys.exit(f"{a.weights}: no weights {', '.join(missing)}")
    w.load_state_dict({n: stored.get(n, v).reshape(v.shape) for n, v in own.items()})
    draw, g = source(a.workload, w.cfg, a.data), torch.Generator().manual_seed(1234)
    with torch.no_grad():
        losses = [w.loss({**w.batch(g), **draw(g, True)}).item() for _ in range(20)]
    print(json.dumps(dict(workload=a.workload, size=a.size, weights=a.weights, validation=round(sum(losses) / 20, 5))))


if __name__ == "__main__":
    main()
