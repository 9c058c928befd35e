"""Which cards and cores each of several trials at a time has for itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from overnight.preflight.cards import find_gpus

_VISIBLE, _THREADS = "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"


def environments(num: int, devices: Any = "auto") -> list[dict[str, str]]:
    """What each trial finds in its environment: the cards and the cores that are its own.

    Args:
        num: Trials at a time.
        devices: Cards for each of them; ``auto``: its share of all.
    """
    if num == 1:
        return [{}]
    cards = _cards()
    mine = max(1, len(cards) // num) if devices == "auto" else int(devices)
    found = []
    for place in range(num):
        env: dict[str, str] = {}
        if cards:
            env[_VISIBLE] = ",".join(cards[(place * mine + i) % len(cards)] for i in range(mine))
        elif not os.environ.get(_THREADS):
            env[_THREADS] = str(max(1, (os.cpu_count() or 1) // num))
        found.append(env)
    return found


def _cards() -> list[str]:
    """The cards this process may use, by what CUDA calls them."""
    given = os.environ.get(_VISIBLE)
    if given is not None:
        return [card.strip() for card in given.split(",") if card.strip() not in ("", "-1")]
    return [str(card.index) for card in find_gpus(Path("/")).cards]
