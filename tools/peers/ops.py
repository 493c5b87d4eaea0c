"""Writes tests/ops/peers.json: what functions of the tensor language give in PyTorch, in float64.

Each case has inputs, outputs, and the gradients of sum(w * output) by the floating inputs for weights w = 1, 2, .., of the
first output. tests/ops/peers_test.cpp has the function of each case under the same name. PyTorch's hard sigmoid and swish have
1/6 in float32, so they are written out; maxima are unique, since PyTorch gives their gradient to the first.
"""
import argparse
import json

import torch

F = torch.nn.functional
f64 = torch.float64


def cases(draw, whole):
    lstm, gru = torch.nn.LSTMCell(3, 2, dtype=f64), torch.nn.GRUCell(3, 2, dtype=f64)

    def cell(kind, gates, x, *rest):
        states, weights = rest[:-4], rest[-4:]
        return torch.func.functional_call(kind, dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights)), (x, states if len(states) > 1 else states[0]))

    def weights(gates):
        return [draw(gates * 2, 3), draw(gates * 2, 2), draw(gates * 2), draw(gates * 2)]

    def batch_norm(x, w, b, m, v):
        m2, v2 = m.detach().clone(), v.detach().clone()
        y = F.batch_norm(x, m2, v2, w, b, True, 0.1, 1e-3)
        return y, m2, v2

    def spectral(w, u):
        v = F.normalize(w.detach().flatten(1).T @ u.detach(), dim=0)
        u2 = F.normalize(w.detach().flatten(1) @ v, dim=0)
        return w / (u2 @ w.flatten(1) @ v), u2

    x4, x3 = draw(2, 4, 3, 5), draw(2, 4, 7)
    yield "conv1d", lambda x, w: F.conv1d(x, w, stride=2, padding=2, dilation=2), [x3, draw(3, 4, 3)]
    yield "conv2d", lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 0)), [x4, draw(6, 4, 3, 2), draw(6)]
    yield "conv2d_groups", lambda x, w: F.conv2d(x, w, padding=1, groups=2), [x4, draw(6, 2, 3, 3)]
    yield "conv2d_same", lambda x, w: F.conv2d(x, w, padding="same", dilation=(1, 2)), [x4, draw(2, 4, 3, 2)]
    yield "conv3d", lambda x, w: F.conv3d(x, w, stride=2, padding=1), [draw(1, 2, 3, 4, 3), draw(2, 2, 2, 3, 2)]
    yield "depthwise", lambda x, w: F.conv2d(x, w, groups=4), [x4, draw(8, 1, 2, 2)]
    yield "conv_transpose2d", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2), [x4, draw(4, 2, 3, 4), draw(4)]
    yield "conv_transpose1d", lambda x, w: F.conv_transpose1d(x, w, stride=1, dilation=3), [x3, draw(4, 2, 2)]
    yield "unfold", lambda x: F.unfold(x, (2, 3), padding=1, stride=2), [x4]
    yield "fold", lambda x: F.fold(x, (4, 5), (2, 3), stride=(1, 2)), [draw(2, 12, 6)]
    yield "max_pool2d", lambda x: F.max_pool2d(x, 3, 2, 1), [x4 + torch.arange(x4.numel()).view(x4.shape) / 4096]
    yield "average_pool2d", lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 0)), [x4]
    yield "average_pool2d_inside", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), [x4]
    yield "adaptive_average_pool2d", lambda x: F.adaptive_avg_pool2d(x, (3, 4)), [x4]
    yield "adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 3), [x3]
    yield "layer_norm", lambda x, w, b: F.layer_norm(x, (3, 5), w, b, 1e-3), [x4, draw(3, 5), draw(3, 5)]
    yield "rms_norm", lambda x, w: F.rms_norm(x, (5,), w, 1e-3), [x4, draw(5)]
    yield "group_norm", lambda x, w, b: F.group_norm(x, 2, w, b, 1e-3), [x4, draw(4), draw(4)]
    yield "instance_norm", lambda x: F.instance_norm(x, eps=1e-3), [x4]
    yield "batch_norm_training", batch_norm, [x4, draw(4), draw(4), draw(4), draw(4).abs()]
    yield "batch_norm_inference", lambda x, w, b, m, v: (x - m[:, None]) * (v.abs()[:, None] + 1e-3).rsqrt() * w[:, None] + b[:, None], [x3, draw(4), draw(4), draw(4), draw(4)]
    yield "weight_norm", lambda v, g: torch._weight_norm(v, g[:, None, None], 0), [draw(3, 2, 2), draw(3)]
    yield "spectral_norm", spectral, [draw(3, 2, 2), draw(3)]
    yield "local_response_norm", lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 2.0), [x4]
    yield "attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v), [draw(2, 2, 3, 4), draw(2, 2, 5, 4), draw(2, 2, 5, 3)]
    yield "attention_causal", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [draw(1, 2, 4, 3), draw(1, 2, 4, 3), draw(1, 2, 4, 3)]
    yield "attention_grouped", lambda q, k, v, m: F.scaled_dot_product_attention(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), m), [draw(1, 4, 3, 2), draw(1, 2, 3, 2), draw(1, 2, 3, 2), draw(3, 3)]
    yield "lstm_cell", lambda x, h, c, *w: cell(lstm, 4, x, h, c, *w), [draw(4, 3), draw(4, 2), draw(4, 2), *weights(4)]
    yield "gru_cell", lambda x, h, *w: cell(gru, 3, x, h, *w), [draw(4, 3), draw(4, 2), *weights(3)]
    yield "cross_entropy", lambda x, t: F.cross_entropy(x, t), [draw(5, 4), whole(4, 5)]
    yield "cross_entropy_all", lambda x, t, w: F.cross_entropy(x, t, w.detach().abs(), ignore_index=1, label_smoothing=0.1), [draw(3, 4, 2), whole(4, 3, 2), draw(4)]
    yield "nll", lambda x, t: F.nll_loss(x, t, ignore_index=2), [draw(5, 4), whole(4, 5)]
    yield "mse", lambda a, b: F.mse_loss(a, b), [draw(3, 2), draw(3, 2)]
    yield "l1", lambda a, b: F.l1_loss(a, b, reduction="sum"), [draw(3, 2), draw(3, 2)]
    yield "huber", lambda a, b: F.huber_loss(a, b, delta=0.5), [draw(3, 4), draw(3, 4)]
    yield "smooth_l1", lambda a, b: F.smooth_l1_loss(a, b, beta=0.5), [draw(3, 4), draw(3, 4)]
    yield "bce", lambda p, t: F.binary_cross_entropy(p.sigmoid(), t.sigmoid()), [draw(3, 2), draw(3, 2)]
    yield "kl", lambda x, t: F.kl_div(x, t.exp(), reduction="sum"), [draw(3, 2), draw(3, 2)]
    yield "gaussian_nll", lambda m, t, s: F.gaussian_nll_loss(m, t, s.exp()), [draw(3, 2), draw(3, 2), draw(3, 2)]
    yield "kl_normal", lambda m, v, n, w: torch.distributions.kl_divergence(torch.distributions.Normal(m, (v / 2).exp()), torch.distributions.Normal(n, (w / 2).exp())), [draw(3) for _ in range(4)]
    yield "activations", lambda x: torch.stack([F.relu6(3 * x), (x / 6 + 0.5).clamp(0, 1), x * (x / 6 + 0.5).clamp(0, 1), F.hardtanh(x), F.elu(x, 0.7), F.celu(x, 0.5), F.selu(x), F.mish(x), F.softsign(x), F.logsigmoid(x), F.threshold(x, 0.5, 2.0), F.leaky_relu(x, 0.2)]), [2 * draw(17) + 1 / 512]
    yield "functions", lambda x: torch.stack([x.sin(), x.cos(), x.tan(), (x / 8).asin(), (x / 8).acos(), x.atan(), x.sinh(), x.cosh(), x.asinh(), (x.abs() + 1.5).acosh(), (x / 8).atanh(), x.exp2(), x.abs().log2(), x.abs().log10(), (x / 8).erfinv(), x.erfc(), x.abs() ** 1.7]), [draw(17)]
    yield "binary", lambda a, b: torch.stack([torch.atan2(a, b), torch.fmod(a, b), torch.remainder(a, b), torch.logaddexp(a, b), torch.maximum(a, b), a.abs() ** b]), [draw(17), draw(17)]
    yield "rounding", lambda x: torch.stack([x.floor(), x.ceil(), x.trunc(), x.round(), (x * 2).round() / 2]), [2 * draw(31)]
    yield "moments", lambda x: torch.stack([x.mean((0, 2)), x.var((0, 2)), x.std((0, 2)), x.prod(2).prod(0), x.norm(1, (0, 2)), x.norm(2, (0, 2)), torch.logsumexp(x, (0, 2))]), [draw(2, 3, 2)]
    yield "arguments", lambda x: (x.argmax(1).to(f64), x.argmin(0).to(f64), x.count_nonzero(1).to(f64), (x > 1).any(1).to(f64), (x > -1).all(1).to(f64)), [draw(5, 4)]
    yield "softmax2", lambda x: F.softmax(x.flatten(1), 1).view(x.shape), [draw(2, 3, 2)]
    yield "einsum", lambda a, b, c: torch.einsum("bij,kj,bk->ik", a, b, c), [draw(2, 3, 4), draw(5, 4), draw(2, 5)]
    yield "einsum_dots", lambda a, b: torch.einsum("...ij,kj", a, b), [draw(2, 3, 4), draw(5, 4)]
    yield "einsum_diagonal", lambda a: torch.einsum("iij->ji", a), [draw(3, 3, 2)]
    yield "matmuls", lambda a, b, c: (a @ b, a @ c, c @ b[0], c @ c, a[0, 0] @ c), [draw(2, 1, 3, 4), draw(3, 4, 2), draw(4)]
    yield "shapes", lambda a, b: (torch.cat([a, b, a], 1), torch.stack([a, a], 1), a.flip(1), a.roll(2, 1), a.tile(2, 3), a.repeat_interleave(2, 1), a.tril(1), a.triu(-1)), [draw(3, 4), draw(3, 2)]
    yield "pads", lambda x: (F.pad(x, (1, 2), "reflect"), F.pad(x, (2, 1), "replicate"), F.pad(x, (3, 2), "circular"), F.pad(x, (-1, 2), value=1.5)), [draw(1, 2, 5)]
    yield "take", lambda x, i: (F.embedding(i, x), x[:, i.flatten()[:2]]), [draw(5, 4), whole(4, 3, 2)]
    yield "take_along", lambda x, i: (x.gather(1, i), torch.zeros(4, 5, dtype=f64).scatter_add(1, i, x[:, :3])), [draw(4, 5), whole(5, 4, 3)]
    yield "index_add", lambda x, i, u: x.index_add(0, i, u), [draw(4, 3), whole(4, 6), draw(6, 3)]
    yield "pixel_shuffle", lambda x: (F.pixel_shuffle(x, 2), F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2)), [draw(1, 8, 2, 3)]
    yield "resize_nearest", lambda x: F.interpolate(x, (7, 12)), [x4]
    yield "resize_exact", lambda x: F.interpolate(x, (7, 4), mode="nearest-exact"), [x4]
    yield "resize_bilinear", lambda x: F.interpolate(x, (7, 4), mode="bilinear"), [x4]
    yield "resize_corners", lambda x: F.interpolate(x, (3, 9), mode="bilinear", align_corners=True), [x4]
    yield "inverse_cdf", lambda p, u: (p.softmax(-1).cumsum(-1) < u.sigmoid()[:, None]).sum(-1).clamp_max(4).to(f64), [draw(9, 5), draw(9)]


def run(name, function, inputs):
    inputs = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    floating = [x for x in inputs if x.is_floating_point()]
    gradients = []
    if outputs[0].requires_grad:
        w = torch.arange(1, outputs[0].numel() + 1, dtype=f64).view(outputs[0].shape)
        gradients = torch.autograd.grad((w * outputs[0]).sum(), floating, allow_unused=True)
        gradients = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, floating)]

    def written(t):
        dtype = {torch.float64: "f32", torch.int64: "i64"}[t.dtype]
        return {"dtype": dtype, "shape": list(t.shape), "values": t.detach().flatten().tolist()}

    return {"name": name, "inputs": [written(x) for x in inputs], "outputs": [written(y) for y in outputs], "gradients": [written(g) for g in gradients]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="tests/ops/peers.json")
    args = parser.parse_args()
    g = torch.Generator().manual_seed(11)
    draw = lambda *shape: torch.round(torch.randn(*shape, generator=g, dtype=f64) * 64) / 64
    whole = lambda high, *shape: torch.randint(0, high, shape, generator=g)
    written = [json.dumps(run(*case), separators=(",", ":")) for case in cases(draw, whole)]
    with open(args.out, "w") as f:
        f.write(f'{{"torch":"{torch.__version__.split("+")[0]}","cases":[\n' + ",\n".join(written) + "\n]}\n")


if __name__ == "__main__":
    main()
