"""What predicts. Types only, as in ``base.py``: every verb may import this.

A task's ``inputs.py`` finds what is to be predicted, without torch: a missing image is told
before anything starts. Its ``predict.py`` loads a model folder and predicts, in the trainer's
process or in a server.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from overnight.tasks.base import Example, Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from overnight.model_folder import Card

#: Test-time augmentation (spec.schema.Predict): which views of an input are averaged.
Views = Literal["none", "flip", "crops"]
In = TypeVar("In")
Out = TypeVar("Out", covariant=True)


class BadInput(ValueError):  # noqa: N818  (a server's 4xx)
    """An input that cannot be predicted; says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the inputs are.

    Attributes:
        base: What relative paths are relative to; absolute.
        paths: A folder, a table of IDs, or files, as a person named them; empty: the test examples
            of ``data``.
        sample: A table whose form the results are to have, and whose rows are to be predicted.
        data: A config's ``data:``, of the task's own schema, its paths absolute; None: there is
            none.
    """

    base: Path
    paths: Sequence[str] = ()
    sample: Path | None = None
    data: Any = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A table whose form the results are to have: a competition's ``sample_submission.csv``.

    Attributes:
        rows: Its cells, in its order.
        id_at: Which column has the IDs.
        target: The column that is known to hold the class; None: its place has to be seen from the
            others.
        separator: Between two cells.
        encoding: Of its bytes, a name of Python's.
        is_sure: Whether a person has named it as the form; else it is one where it can be one.
    """

    path: Path
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    id_at: int
    target: str | None
    separator: str = ","
    encoding: str = "utf-8"
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class ToPredict:
    """What is to be predicted.

    Attributes:
        examples: In the order of the results; one whose file is not there has an empty path.
        sample: The form of the results, where there is one.
        problems: What a person should know; one that ``stops`` keeps the prediction from starting.
    """

    examples: Sequence[Example]
    sample: Sample | None = None
    problems: Sequence[Problem] = ()


class Inputs(Protocol):
    """``inputs.py``. Torch-free."""

    def find(self, source: Source) -> ToPredict:
        """What a person has named; opens no example.

        Raises:
            UserErrors: Nothing can be predicted there.
        """
        ...

    def has_test(self, data: Any) -> bool:
        """Whether a config names anything to predict."""
        ...


class Predictor(Protocol[In, Out]):
    """``predict.py``. One instance is one model folder, all its members; thread-safe after load.

    Attributes:
        labels: The classes' names, by index.
    """

    labels: Sequence[str]

    @classmethod
    def load(
        cls,
        card: Card,
        *,
        device: str = "cpu",
        views: Views = "none",
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    ) -> Predictor[In, Out]:
        """The model of a folder that was verified (``overnight.model_folder.verify``)."""
        ...

    def prepare(self, raw: Mapping[str, Any]) -> In:
        """One input, on the CPU.

        Raises:
            BadInput: It cannot be read.
        """
        ...

    def batch_key(self, item: In) -> Hashable:
        """Items with equal keys may share a batch."""
        ...

    def predict(self, items: Sequence[In]) -> Sequence[Out]:
        """A result each."""
        ...

    def dataset(self, examples: Sequence[Example]) -> Any:
        """A map-style dataset for a loader's workers; item ``i`` is that of ``examples[i]``."""
        ...

    def collate(self, items: Sequence[Any]) -> Any:
        """The dataset's items to a batch."""
        ...

    def probabilities(self, batch: Any) -> NDArray[np.float32]:
        """Of a classifier: ``(N, K)``, the members' and views' calibrated probabilities averaged.

        A row of NaN: that input cannot be read.
        """
        ...
