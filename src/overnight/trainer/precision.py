"""Which device, which precision, and what makes a card fast: found out, not asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from overnight.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]
#: bf16 is computed from Ampere on; before it is emulated, and slower than float32.
_BF16_CAPABILITY = (8, 0)
_MAX_WORKERS = 8


def device(rank: int = 0) -> torch.device:
    """The card of this process, which it takes from here on; else the processor."""
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
        return torch.device("cuda", rank)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(asked: Literal["auto", "off", "bf16", "fp16"], on: torch.device) -> Precision:
    """What ``train.amp`` means on this device.

    Raises:
        UserError: fp16 on a processor, which has no such arithmetic.
    """
    if asked == "off":
        return "fp32"
    if asked == "auto":
        if on.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.get_device_capability(on) >= _BF16_CAPABILITY else "fp16"
    if asked == "fp16" and on.type == "cpu":
        raise UserError("engine.fp16_cpu", where="train.amp")
    return asked


def autocast(chosen: Precision, on: torch.device) -> torch.autocast:
    """The context in which a model runs."""
    dtype = torch.float16 if chosen == "fp16" else torch.bfloat16
    return torch.autocast(on.type, dtype=dtype, enabled=chosen != "fp32")


def num_workers(asked: int | Literal["auto"], world: int = 1) -> int:
    """Processes that load, for each of ``world`` that train.

    ``auto``: together with those that train as many as the cores they may use, at most 8 each.
    """
    if asked != "auto":
        return asked
    if hasattr(os, "sched_getaffinity"):
        num_cores = len(os.sched_getaffinity(0))
    else:
        num_cores = os.cpu_count() or 1
    return max(0, min(_MAX_WORKERS, num_cores // world - 1))


def channels_last(model: nn.Module, on: torch.device) -> bool:
    """Lays convolutions out as tensor cores read them; whether there is anything to lay out.

    On a processor the plain layout stays: the other one saves a fifth to a third of a CNN's time
    there (at 224 px), but the numbers would no longer be exactly those of a plain script.
    """
    convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
    if on.type != "cuda" or not convolves:
        return False
    model.to(memory_format=torch.channels_last)
    return True


@contextmanager
def deterministic(asked: bool) -> Iterator[None]:
    """Within it a card computes the same numbers each time; torch warns of an op that cannot."""
    if not asked:
        yield
        return
    # cuBLAS asks for it by name before its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    searched = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        torch.backends.cudnn.benchmark = searched


def memory_mib(on: torch.device) -> float:
    """Peak memory on the card; without one, what the process holds (docs/metrics.md)."""
    if on.type == "cuda":
        return float(torch.cuda.max_memory_allocated(on) / 2**20)
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            pages = int(file.read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:  # not Linux: the most it ever held
        import resource
        import sys

        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return held / (2**20 if sys.platform == "darwin" else 2**10)
