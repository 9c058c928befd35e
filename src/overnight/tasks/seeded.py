"""Randomness as a function of where it is drawn: nothing depends on what was drawn before.

A training killed in the middle of an epoch can then go on exactly where it was, with any number of
workers, because no generator's state has to survive.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch


def derive(seed: int, *parts: int) -> int:
    """A seed of its own for each (seed, parts), alike on every machine: 63 bits."""
    text = ",".join(map(str, (seed, *parts)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def draws(seed: int) -> Iterator[None]:
    """Within it torch's CPU generator begins at ``seed``; afterwards it is where it was.

    torchvision's transforms draw from that one and take no other. ``torch.manual_seed`` would seed
    the cards as well, which a worker must not touch.
    """
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
