"""Optimizers and learning rates, by the words of the spec."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from transformers import get_scheduler

from overnight.tasks.config import Train

#: A fit in three parts, each a tenth of the rate before: ResNet's own schedule.
_NUM_PARTS, _FACTOR = 3, 0.1
_MOMENTUM = 0.9


def optimizer(train: Train) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
    """The class and its arguments but the parameters."""
    match train.optimizer:
        case "adamw":
            return torch.optim.AdamW, {"lr": train.lr, "fused": True}
        case "adam":
            return torch.optim.Adam, {"lr": train.lr, "fused": True}
        case "sgd":
            return torch.optim.SGD, {"lr": train.lr, "momentum": _MOMENTUM, "nesterov": True}


def warmup_steps(train: Train, steps_per_epoch: int) -> int:
    """``train.warmup`` in steps."""
    if train.warmup is None:
        return 0 if train.scheduler == "onecycle" else steps_per_epoch // 2
    return round(train.warmup * steps_per_epoch)


def schedule(
    optimizer: torch.optim.Optimizer, train: Train, num_steps: int, steps_per_epoch: int
) -> LRScheduler:
    """How the learning rate goes over ``num_steps``."""
    num_warmup = min(warmup_steps(train, steps_per_epoch), num_steps)
    match train.scheduler:
        case "onecycle":
            # Its own rise is its warm-up: 0.3 of the whole, as torch and fastai have it.
            share = num_warmup / num_steps if num_warmup else 0.3
            return OneCycleLR(optimizer, max_lr=train.lr, total_steps=num_steps, pct_start=share)
        case "step":
            part = max(1, -(-num_steps // _NUM_PARTS))

            def factor(step: int) -> float:
                if step < num_warmup:
                    return step / num_warmup
                return float(_FACTOR ** min(step // part, _NUM_PARTS - 1))

            return LambdaLR(optimizer, factor)
        case "constant":
            name = "constant_with_warmup"
        case _:
            name = train.scheduler
    made: LRScheduler = get_scheduler(
        name, optimizer, num_warmup_steps=num_warmup, num_training_steps=num_steps
    )
    return made
