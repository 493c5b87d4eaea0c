"""Writes tests/optimizers/trajectories.json: 100 steps of every optimiser of gmc in PyTorch, in float64.

The problem is a small network with a scale, fed three batches in turn, so that gradients change size and sign. The file
holds the problem, each case with its options by gmc's names, the parameters after steps 10 and 100, and at the end what the
optimiser remembers, by gmc's names too. Schedules are those of torch.optim.lr_scheduler. Lion, which PyTorch does not
have, is written here from Chen et al. 2023, algorithm 2.
"""
import argparse
import json

import torch

STEPS, CHECKPOINTS = 100, (10, 100)


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * p.grad
                p.sub_(group["lr"] * (torch.sign(c) + group["weight_decay"] * p))
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


# gmc's name of an optimiser: the class, and gmc's names of its state.
OPTIMIZERS = {
    "Sgd": (torch.optim.SGD, {"momentum_buffer": "buf"}),
    "Adam": (torch.optim.Adam, {"exp_avg": "m", "exp_avg_sq": "v", "max_exp_avg_sq": "vmax", "step": "t"}),
    "Adamax": (torch.optim.Adamax, {"exp_avg": "m", "exp_inf": "u", "step": "t"}),
    "RmsProp": (torch.optim.RMSprop, {"square_avg": "v", "grad_avg": "m", "momentum_buffer": "buf"}),
    "Adagrad": (torch.optim.Adagrad, {"sum": "v"}),
    "Lion": (Lion, {"m": "m"}),
}
RENAMED = {"initial_accumulator": "initial_accumulator_value"}

# (name of the case, optimiser, options)
CASES = [
    ("sgd", "Sgd", {"lr": 0.05}),
    ("sgd_momentum", "Sgd", {"lr": 0.02, "momentum": 0.9}),
    ("sgd_dampening", "Sgd", {"lr": 0.05, "momentum": 0.8, "dampening": 0.3}),
    ("sgd_nesterov", "Sgd", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    ("sgd_decay", "Sgd", {"lr": 0.05, "weight_decay": 0.1}),
    ("sgd_all", "Sgd", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05, "clip": 0.5}),
    ("adam", "Adam", {"lr": 0.03}),
    ("adam_betas", "Adam", {"lr": 0.02, "betas": [0.5, 0.99]}),
    ("adam_no_first_moment", "Adam", {"lr": 0.02, "betas": [0.0, 0.9]}),
    ("adam_eps", "Adam", {"lr": 0.03, "eps": 0.1}),
    ("adamw", "Adam", {"lr": 0.03, "weight_decay": 0.1}),
    ("adam_l2", "Adam", {"lr": 0.03, "weight_decay": 0.1, "decoupled": False}),
    ("adam_amsgrad", "Adam", {"lr": 0.03, "betas": [0.9, 0.9], "amsgrad": True}),
    ("adam_clip", "Adam", {"lr": 0.03, "clip": 0.2, "eps": 0.01}),
    ("adam_clip_value", "Adam", {"lr": 0.03, "clip_value": 0.05, "eps": 0.01}),
    ("adam_clip_both", "Adam", {"lr": 0.03, "clip": 0.1, "clip_value": 0.05, "eps": 0.01}),
    ("adam_all", "Adam", {"lr": 0.02, "betas": [0.8, 0.95], "eps": 1e-4, "weight_decay": 0.2, "decoupled": False,
                          "amsgrad": True, "clip": 0.5}),
    ("adamax", "Adamax", {"lr": 0.03}),
    ("adamax_all", "Adamax", {"lr": 0.02, "betas": [0.7, 0.95], "eps": 1e-3, "weight_decay": 0.1, "clip": 0.5}),
    ("rmsprop", "RmsProp", {"lr": 0.01}),
    ("rmsprop_alpha", "RmsProp", {"lr": 0.01, "alpha": 0.9, "eps": 1e-3}),
    ("rmsprop_momentum", "RmsProp", {"lr": 0.003, "momentum": 0.8}),
    ("rmsprop_centered", "RmsProp", {"lr": 0.01, "centered": True, "eps": 1e-4}),
    ("rmsprop_decay", "RmsProp", {"lr": 0.01, "weight_decay": 0.1}),
    ("rmsprop_all", "RmsProp", {"lr": 0.003, "alpha": 0.95, "eps": 1e-2, "momentum": 0.7, "centered": True,
                                "weight_decay": 0.05, "clip": 0.5}),
    ("adagrad", "Adagrad", {"lr": 0.1}),
    ("adagrad_lr_decay", "Adagrad", {"lr": 0.1, "lr_decay": 0.05}),
    ("adagrad_initial", "Adagrad", {"lr": 0.1, "initial_accumulator": 0.5}),
    ("adagrad_eps", "Adagrad", {"lr": 0.1, "eps": 0.1}),
    ("adagrad_all", "Adagrad", {"lr": 0.1, "lr_decay": 0.02, "initial_accumulator": 0.1, "eps": 1e-3,
                                "weight_decay": 0.05, "clip": 0.5}),
    ("lion", "Lion", {"lr": 0.005}),
    ("lion_betas", "Lion", {"lr": 0.005, "betas": [0.5, 0.8]}),
    ("lion_decay", "Lion", {"lr": 0.005, "weight_decay": 0.5}),
    ("sgd_step_schedule", "Sgd", {"lr": {"schedule": "step", "lr": 0.05, "every": 30, "factor": 0.4}, "momentum": 0.5}),
    ("adam_milestones", "Adam", {"lr": {"schedule": "milestones", "lr": 0.03, "at": [20, 35, 80], "factor": 0.5}}),
    ("adam_exponential", "Adam", {"lr": {"schedule": "exponential", "lr": 0.03, "factor": 0.97}}),
    ("adamw_cosine", "Adam", {"lr": {"schedule": "cosine", "lr": 0.03, "steps": 90, "warmup": 15, "start": 0.1,
                                     "floor": 0.002}, "weight_decay": 0.1}),
    ("rmsprop_warmup", "RmsProp", {"lr": {"schedule": "warmup", "lr": 0.01, "steps": 20, "start": 0.25}}),
    ("adam_noam", "Adam", {"lr": {"schedule": "noam", "lr": 0.5, "width": 16, "warmup": 25}}),
]
EMA_DECAY = 0.9


def rounded(t):
    return t.detach().tolist()


def problem():
    g = torch.Generator().manual_seed(20)
    draw = lambda *shape: torch.round(torch.randn(*shape, generator=g, dtype=torch.float64) * 64) / 64
    parameters = {"w1": draw(2, 3), "b1": draw(3), "w2": draw(3, 2), "b2": draw(2),
                  "scale": torch.tensor(1.25, dtype=torch.float64)}
    batches = [{"x": draw(5, 2) * s, "y": draw(5, 2) * s} for s in (1.0, 0.25, 2.0)]
    return parameters, batches


def loss_of(p, batch):
    h = torch.tanh(batch["x"] @ p["w1"] + p["b1"])
    return ((p["scale"] * (h @ p["w2"]) + p["b2"] - batch["y"]) ** 2).mean()


def scheduler_of(optimizer, s):
    lr = torch.optim.lr_scheduler
    kind = s["schedule"]
    if kind == "step":
        return lr.StepLR(optimizer, s["every"], s["factor"])
    if kind == "milestones":
        return lr.MultiStepLR(optimizer, s["at"], s["factor"])
    if kind == "exponential":
        return lr.ExponentialLR(optimizer, s["factor"])
    if kind == "warmup":
        return lr.LinearLR(optimizer, s["start"], total_iters=s["steps"])
    if kind == "noam":  # Vaswani et al. 2017, section 5.3, equation 3; steps count from 1
        return lr.LambdaLR(optimizer, lambda t: s["width"] ** -0.5 * min((t + 1) ** -0.5, (t + 1) * s["warmup"] ** -1.5))
    cosine = lr.CosineAnnealingLR(optimizer, s["steps"] - s["warmup"], eta_min=s["floor"])
    floor = lr.ConstantLR(optimizer, factor=s["floor"] / s["lr"], total_iters=10**6)
    warmup = lr.LinearLR(optimizer, s["start"], total_iters=s["warmup"])
    return lr.SequentialLR(optimizer, [warmup, cosine, floor], milestones=[s["warmup"], s["steps"]])


def run(name, kind, options):
    parameters, batches = problem()
    p = {k: v.clone().requires_grad_() for k, v in parameters.items()}
    cls, states = OPTIMIZERS[kind]
    kwargs = {RENAMED.get(k, k): v for k, v in options.items() if k not in ("clip", "clip_value", "decoupled")}
    schedule = options["lr"] if isinstance(options["lr"], dict) else None
    if schedule:
        kwargs["lr"] = schedule["lr"]
    if kind == "Adam":
        cls = torch.optim.Adam if options.get("decoupled") is False else torch.optim.AdamW
        kwargs.setdefault("weight_decay", 0.0)  # AdamW has another default
    optimizer = cls(p.values(), **kwargs)
    scheduler = scheduler_of(optimizer, schedule) if schedule else None
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY)
    smooth = None
    out = {"name": name, "optimizer": kind, "options": options, "after": {}}
    rates = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(p, batches[step % len(batches)]).backward()
        if options.get("clip_value"):
            torch.nn.utils.clip_grad_value_(p.values(), options["clip_value"])
        if options.get("clip"):
            torch.nn.utils.clip_grad_norm_(p.values(), options["clip"])
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler:
            scheduler.step()
        if name == "adam":
            now = [v.detach() for v in p.values()]
            if smooth is None:
                smooth = [v.clone() for v in now]
            else:
                average(smooth, now, None)
        if step + 1 in CHECKPOINTS:
            out["after"][str(step + 1)] = {k: rounded(v) for k, v in p.items()}
    out["states"] = {states[s]: {k: rounded(v[s]) for k, v in zip(p, map(optimizer.state.get, p.values()))}
                     for s in optimizer.state[next(iter(p.values()))] if s in states and s != "step"}
    if schedule:
        out["rates"] = rates
    if smooth:
        out["ema"] = {"decay": EMA_DECAY, "after": {k: rounded(v) for k, v in zip(p, smooth)}}
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="tests/optimizers/trajectories.json")
    args = parser.parse_args()
    parameters, batches = problem()
    head = {"torch": torch.__version__.split("+")[0], "steps": STEPS,
            "parameters": {k: rounded(v) for k, v in parameters.items()},
            "batches": [{k: rounded(v) for k, v in b.items()} for b in batches]}
    line = lambda value: json.dumps(value, separators=(",", ":"))
    with open(args.out, "w") as f:
        f.write("{\n" + "".join(f'"{k}":{line(v)},\n' for k, v in head.items()) + '"cases":[\n')
        f.write(",\n".join(line(run(*case)) for case in CASES) + "\n]}\n")


if __name__ == "__main__":
    main()
