"""What the processes of one fit tell each other: the same words whether there is one or eight.

Each call is made by all of them, in the same order. Numbers and small objects travel over the
processor (gloo), so that none of it makes a card wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")
Item = TypeVar("Item")


class Team:
    """One process by itself.

    Attributes:
        rank: Of this process. The first, 0, writes ledger, checkpoints and log.
        world: How many train together.
    """

    rank, world = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def gather(self, mine: T) -> list[T]:
        """What each of them has, by rank."""
        return [mine]

    def first(self, number: int) -> int:
        """What rank 0 says."""
        return number

    def spread(self, tensors: Iterable[torch.Tensor]) -> None:
        """Gives all of them rank 0's numbers, in place."""

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part: together they have each item once, in their order by rank."""
        first, last = (len(items) * rank // self.world for rank in (self.rank, self.rank + 1))
        return items if self.world == 1 else items[first:last]


class Group(Team):
    """Several processes; torch's process group is there while they train.

    Args:
        rank: Of this process.
        world: How many.
    """

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def gather(self, mine: T) -> list[T]:
        """See ``Team``."""
        found: list[T | None] = [None] * self.world
        distributed.all_gather_object(found, mine)
        return found  # type: ignore[return-value]

    def first(self, number: int) -> int:
        """See ``Team``."""
        said = torch.tensor([number])
        distributed.broadcast(said, 0)
        return int(said)

    def spread(self, tensors: Iterable[torch.Tensor]) -> None:
        """See ``Team``."""
        for tensor in tensors:
            distributed.broadcast(tensor, 0)
