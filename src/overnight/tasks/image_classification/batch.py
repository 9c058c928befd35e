"""CIFAR-10's own batches: pickles, read without running anything that is in them.

A pickle may name any function and have it called. These need a dictionary, lists, bytes, text,
numbers and one array; so every operation that is not for those is refused before the first is
carried out, and the three names of numpy that an array is stored under become harmless stand-ins
of ours. Nothing of numpy or of any other module is called.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overnight.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE_PX = 32
_ROW_BYTES = 3 * SIDE_PX * SIDE_PX
#: The real ones have 31 MB.
_MAX_BYTES = 256 * 1024 * 1024
#: Marks in a pickle's memo. The real ones need 20,000; each costs memory up to its number.
_MAX_MEMO = 10_000_000
_HARMLESS = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "MEMOIZE",
    "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
    "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "EMPTY_LIST", "APPEND", "APPENDS", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2",
    "TUPLE3", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS",
    # These make objects; what of, find_class decides.
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """One file of pictures.

    Attributes:
        data: The pictures one after the other: 1,024 bytes of red, of green, of blue.
        labels: The class of each.
    """

    data: bytes
    labels: tuple[int, ...]

    def row(self, index: int) -> bytes:
        """The bytes of a picture."""
        return self.data[index * _ROW_BYTES : (index + 1) * _ROW_BYTES]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """A picture as ``(32, 32, 3)``."""
        import numpy as np

        planes_CHW = np.frombuffer(self.row(index), np.uint8).reshape(3, SIDE_PX, SIDE_PX)
        return np.ascontiguousarray(planes_CHW.transpose(1, 2, 0))


# The data set has six files. A loader's worker is forked with what was read before.
@lru_cache(maxsize=8)
def read(path: str) -> Batch:
    """The pictures of a file.

    Raises:
        UserError: It is no batch of CIFAR-10, or asks for more than data.
    """
    told = unpickle(Path(path))
    data, labels = told.get("data"), told.get("labels")
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise UserError("data.not_a_batch", where=path)
    whole = len(data.data) == _ROW_BYTES * len(labels) and data.shape == (len(labels), _ROW_BYTES)
    if not whole or not all(type(label) is int for label in labels):
        raise UserError("data.not_a_batch", where=path)
    return Batch(data.data, tuple(labels))


def names(path: Path) -> tuple[str, ...]:
    """The classes' names, of ``batches.meta``.

    Raises:
        UserError: They do not stand in it.
    """
    found = unpickle(path).get("label_names")
    if not isinstance(found, list) or not all(isinstance(name, (str, bytes)) for name in found):
        raise UserError("data.not_a_batch", where=path)
    return tuple(n.decode("utf-8", "replace") if isinstance(n, bytes) else n for n in found)


def unpickle(path: Path) -> Mapping[str, object]:
    """What stands in a pickle that is nothing but data.

    Raises:
        UserError: It is not, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError("data.cannot_read", where=path, why=error.strerror or error) from error
    if len(data) > _MAX_BYTES:
        raise UserError("data.not_a_batch", where=path)
    try:
        _refuse_all_but_data(data)
        found = _Unpickler(BytesIO(data), encoding="bytes").load()
    except _RefusedError as refused:
        raise UserError("data.pickle_refused", where=path, what=refused) from None
    except Exception as error:  # whatever a broken pickle makes the interpreter of pickles raise
        raise UserError("data.not_a_batch", where=path) from error
    if not isinstance(found, dict):
        raise UserError("data.not_a_batch", where=path)
    return {
        k.decode("ascii", "replace") if isinstance(k, bytes) else str(k): v
        for k, v in found.items()
    }


class _RefusedError(Exception):
    """What a pickle asks for and does not get."""


def _refuse_all_but_data(data: bytes) -> None:
    for operation, argument, _ in pickletools.genops(data):
        if operation.name not in _HARMLESS:
            raise _RefusedError(operation.name)
        if "PUT" in operation.name and int(argument or 0) > _MAX_MEMO:
            raise _RefusedError(operation.name)


class _Array:
    """Stands for a numpy array: its shape and its bytes, and nothing that could be run."""

    def __init__(self) -> None:
        self.shape: tuple[object, ...] = ()
        self.data = b""

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), (int() as rows, int() as columns), _Bytes(), 0, bytes() as data):
                self.shape, self.data = (rows, columns), data
            case _:
                raise _RefusedError("ndarray")


class _Bytes:
    """Stands for numpy's dtype; only that of unsigned bytes is let in."""

    def __setstate__(self, state: object) -> None:
        """Says how bytes are ordered, which single bytes have no use for."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Made anew for each: a pickle can write into what it was given.
        def reconstruct(*_: object) -> _Array:
            return _Array()

        def dtype(kind: object = None, *_: object) -> _Bytes:
            if kind not in {"u1", b"u1"}:
                raise _RefusedError(f"numpy.dtype({kind!r})")
            return _Bytes()

        def ndarray(*_: object) -> None:
            raise _RefusedError("numpy.ndarray()")

        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
            ("numpy", "ndarray"): ndarray,
            ("numpy", "dtype"): dtype,
        }
        found = allowed.get((module, name))
        if found is None:
            raise _RefusedError(f"{module}.{name}")
        return found
