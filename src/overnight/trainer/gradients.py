"""How large a model's gradients are, block by block."""

from __future__ import annotations

import torch
from torch import nn

_QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
#: Of larger tensors only every n-th value is taken: a quantile needs no more.
_MAX_VALUES = 65_536


def spread(model: nn.Module) -> dict[str, float]:
    """Quantiles of the gradients' sizes, ``grad_<block>_p50`` and its like, and ``grad_norm``.

    A block is what a model's outermost modules with more than one child hold: ``layer1``, ``head``.
    """
    found: dict[str, float] = {}
    squares: list[torch.Tensor] = []
    for name, block in _blocks(model):
        sizes = [p.grad.detach().abs().flatten() for p in block.parameters() if p.grad is not None]
        if not sizes:
            continue
        values = torch.cat([one[:: max(1, len(one) // _MAX_VALUES)] for one in sizes]).float()
        values = values[:: max(1, len(values) // _MAX_VALUES)]
        asked = torch.tensor(list(_QUANTILES.values()), device=values.device)
        for label, value in zip(_QUANTILES, torch.quantile(values, asked).tolist(), strict=True):
            found[f"grad_{name}_{label}"] = value
        squares += [one.float().square().sum() for one in sizes]
    if squares:
        found["grad_norm"] = float(torch.stack(squares).sum().sqrt())
    return found


def _blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    children = list(model.named_children())
    while len(children) == 1 and list(children[0][1].named_children()):
        children = list(children[0][1].named_children())
    return children
