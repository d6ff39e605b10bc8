"""Layer normalisation as one `torch.autograd.Function`: PyTorch takes its backward pass on trust.

`check` is given no claim: the derivative that PyTorch itself would use is compared with the values of the forward pass.
Two mistakes follow that training would survive. The gradient of the gain is averaged over the rows where their sum is
due; and the gradient of the input lacks a term, as if the variance were a constant.
"""

import torch

from gradproof import Verdict, check


class LayerNorm(torch.autograd.Function):
    """Rows of x (m, n) brought to mean 0 and variance 1, times a gain (n,), plus a shift (n,)."""

    @staticmethod
    def forward(ctx, x, gain, shift):
        centred = x - x.mean(1, keepdim=True)
        scale = (centred.square().mean(1, keepdim=True) + 1e-5).rsqrt()
        normal = centred * scale
        ctx.save_for_backward(normal, scale, gain)
        return normal * gain + shift

    @staticmethod
    def backward(ctx, cotangent):
        normal, scale, gain = ctx.saved_tensors
        inner = cotangent * gain
        mean, along = inner.mean(1, keepdim=True), (inner * normal).mean(1, keepdim=True)
        return scale * (inner - mean - normal * along), (cotangent * normal).sum(0), cotangent.sum(0)


class GainAveraged(LayerNorm):
    @staticmethod
    def backward(ctx, cotangent):
        x, gain, shift = LayerNorm.backward(ctx, cotangent)
        return x, gain / len(cotangent), shift


class VarianceConstant(LayerNorm):
    @staticmethod
    def backward(ctx, cotangent):
        _, scale, gain = ctx.saved_tensors
        inner = cotangent * gain
        return scale * (inner - inner.mean(1, keepdim=True)), *LayerNorm.backward(ctx, cotangent)[1:]


def check_layer(layer):
    """Check `layer` inside a least-squares loss."""
    torch.manual_seed(0)
    params = {"x": torch.randn(8, 5), "gain": torch.randn(5), "shift": torch.randn(5)}
    params = {name: p.double() for name, p in params.items()}
    target = torch.randn(8, 5).double()

    def loss(params, target):
        return (layer.apply(params["x"], params["gain"], params["shift"]) - target).square().sum()

    report = check(loss, params, args=(target,), sources=["numeric", "torch"])
    print(f"\n{layer.__name__}\n{report}")
    return report


right = check_layer(LayerNorm)
assert right.verdict is Verdict.AGREES

averaged = check_layer(GainAveraged)
assert averaged.verdict is Verdict.DISAGREES
assert [(d.code, d.leaves) for d in averaged.diagnoses] == [("GP104", ("gain",))]

constant = check_layer(VarianceConstant)
assert constant.verdict is Verdict.DISAGREES
assert [location.leaf for location in constant.locations] == [
    "x"
]  # no catalogue holds this term: only the place
