"""How large a model's gradients are, and how they are spread, block by block."""

from __future__ import annotations

import torch
from torch import nn

from overnight.ledger import media

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
        values = _sample(block)
        if values is None:
            continue
        asked = torch.tensor(list(_QUANTILES.values()), device=values.device)
        sizes = torch.quantile(values.abs(), asked).tolist()
        for label, value in zip(_QUANTILES, sizes, strict=True):
            found[f"grad_{name}_{label}"] = value
        squares += [grad.float().square().sum() for grad in _gradients(block)]
    if squares:
        found["grad_norm"] = float(torch.stack(squares).sum().sqrt())
    return found


def keep_histograms(model: nn.Module, *, step: int, fold: int | None) -> None:
    """Keeps a histogram of each block's gradients with the run: ``gradients/<block>``."""
    for name, block in _blocks(model):
        values = _sample(block)
        if values is not None:
            media.histogram(values, f"gradients/{name}", step=step, fold=fold)


def _gradients(block: nn.Module) -> list[torch.Tensor]:
    return [p.grad.detach().flatten() for p in block.parameters() if p.grad is not None]


def _sample(block: nn.Module) -> torch.Tensor | None:
    """Some of a block's gradients, evenly taken; None where it has none."""
    found = _gradients(block)
    if not found:
        return None
    values = torch.cat([one[:: max(1, len(one) // _MAX_VALUES)] for one in found]).float()
    return values[:: max(1, len(values) // _MAX_VALUES)]


def _blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    children = list(model.named_children())
    while len(children) == 1 and list(children[0][1].named_children()):
        children = list(children[0][1].named_children())
    return children
