"""Writes tests/ops/wgan.json: gradients of WGAN gradient penalties (Gulrajani et al. 2017, equation 3) in PyTorch, in float64.

Each case is a critic, a batch, and the gradients by the critic's parameters of mean((|d D(x) / d x|_2 - 1)^2), which
are second derivatives of the critic.
"""
import argparse
import json

import torch

F = torch.nn.functional


def mlp(p, x):
    h = F.leaky_relu(F.linear(x, p["fc1.weight"], p["fc1.bias"]), 0.2)
    h = F.leaky_relu(F.linear(h, p["fc2.weight"], p["fc2.bias"]), 0.2)
    return F.linear(h, p["fc3.weight"], p["fc3.bias"])


def smooth(p, x):  # an activation with a second derivative: more terms of the chain rule
    h = F.silu(F.linear(x, p["fc1.weight"], p["fc1.bias"]))
    h = F.softplus(F.linear(h, p["fc2.weight"], p["fc2.bias"]))
    return F.linear(h, p["fc3.weight"], p["fc3.bias"])


def conv(p, x):
    h = F.leaky_relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=2, padding=1), 0.2)
    h = F.leaky_relu(F.conv2d(h, p["conv2.weight"], p["conv2.bias"], stride=1, padding=1), 0.2)
    return F.linear(h.flatten(1), p["fc.weight"], p["fc.bias"])


LINEAR = {"fc1.weight": (6, 5), "fc1.bias": (6,), "fc2.weight": (4, 6), "fc2.bias": (4,), "fc3.weight": (1, 4), "fc3.bias": (1,)}
CONV = {"conv1.weight": (3, 2, 4, 4), "conv1.bias": (3,), "conv2.weight": (2, 3, 3, 3), "conv2.bias": (2,),
        "fc.weight": (1, 18), "fc.bias": (1,)}
CASES = [("mlp", mlp, LINEAR, (7, 5)), ("smooth", smooth, LINEAR, (7, 5)), ("conv", conv, CONV, (3, 2, 6, 6))]


def run(name, critic, shapes, batch):
    g = torch.Generator().manual_seed(7)
    draw = lambda shape: torch.round(torch.randn(*shape, generator=g, dtype=torch.float64) * 64) / 64
    p = {k: draw(s).requires_grad_() for k, s in shapes.items()}
    x = draw(batch).requires_grad_()
    scores = critic(p, x)
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    norms = slope.flatten(1).norm(2, dim=1)
    penalty = ((norms - 1) ** 2).mean()
    gradients = torch.autograd.grad(penalty, list(p.values()), allow_unused=True)
    return {"name": name, "parameters": {k: v.tolist() for k, v in p.items()}, "x": x.tolist(), "penalty": penalty.item(),
            "gradients": {k: (torch.zeros_like(v) if d is None else d).tolist() for (k, v), d in zip(p.items(), gradients)}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="tests/ops/wgan.json")
    args = parser.parse_args()
    cases = [json.dumps(run(*case), separators=(",", ":")) for case in CASES]
    with open(args.out, "w") as f:
        f.write(f'{{"torch":"{torch.__version__.split("+")[0]}","cases":[\n' + ",\n".join(cases) + "\n]}\n")


if __name__ == "__main__":
    main()
