"""``overnight.watch``: a part of a program becomes a run of its own, watched from outside.

One process has one such run open at a time. A block that begins while one is open (inside it, in
another thread, in another task) is part of it, and the run is over when the last of them is. Under
``overnight run`` the whole program is the run: then a block only says who else is to be told.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from overnight.ledger import files, job
from overnight.ledger.complaint import complain
from overnight.ledger.identity import Identity
from overnight.ledger.paths import name_from, name_problem
from overnight.watching import asked, witness
from overnight.watching.end import end_of
from overnight.watching.trial import is_trial

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass
class _Open:
    """The run that this process has opened for its blocks."""

    job: job.Job
    begun_s: float
    num_blocks: int = 1
    #: What ended the first block, or the last: an error between the two was caught by the program.
    error: BaseException | None = None


@dataclass(frozen=True)
class _Part:
    """One block's part in a run; ``run`` is None where the run ends without us."""

    run: _Open | None
    first: bool = False


_open: _Open | None = None
_lock = threading.RLock()


def _in_child() -> None:
    """A forked child has its parent's blocks on its stack; their run is the parent's to end."""
    global _open, _lock
    _open, _lock = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class Watch:
    """A block to be watched, or a function, each call of which is one. Made by ``watch``."""

    def __init__(self, name: object, channels: object, alerts: object) -> None:
        self._name, self._channels, self._alerts = name, channels, alerts
        self._parts: list[_Part] = []

    def __enter__(self) -> Path | None:
        """Begins the block; gives the run's folder, or None where there is none."""
        try:
            part, folder = _begin(self._name, self._channels, self._alerts)
        except Exception as error:  # whatever it is, the program goes on without being watched
            complain("watch.not_begun", error)
            part, folder = _Part(None), None
        self._parts.append(part)
        return folder

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Ends the block; an exception goes on as it came."""
        try:
            _end(self._parts.pop(), error)
        except Exception as trouble:  # see __enter__()
            complain("watch.not_ended", trouble)

    def __call__(self, function: _F) -> _F:
        """Decorates a function."""
        if not callable(function) or isinstance(function, type):
            complain("watch.no_function", kind=type(function).__name__)
            return function
        return _decorated(function, self)

    def of(self, function: Callable[..., Any]) -> Watch:
        """A block for one call of a function, named after it where no name was given."""
        name = self._name
        if name is None:
            name = name_from(getattr(function, "__name__", "") + ".")
        return Watch(name, self._channels, self._alerts)


def _decorated(function: _F, made: Watch) -> _F:
    import inspect  # takes 20 ms, and a block needs none of it

    wrapper: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with made.of(function):
                return await function(*args, **kwargs)

    elif inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with made.of(function):
                source = function(*args, **kwargs)
                step = source.__anext__()
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        step = source.asend((yield item))
                    except GeneratorExit:
                        await source.aclose()
                        raise
                    except BaseException as error:
                        step = source.athrow(error)

    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with made.of(function):
                return (yield from function(*args, **kwargs))

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with made.of(function):
                return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


@overload
def watch(name: _F, /) -> _F: ...
@overload
def watch(name: str | None = None, *, channels: Any = None, alerts: Any = None) -> Watch: ...
def watch(
    name: Any = None, /, *more: Any, channels: Any = None, alerts: Any = None, **unknown: Any
) -> Any:
    """Watches a block or a function, and tells how it ended, whatever ended it.

    ::

        @overnight.watch(channels=["phone"], alerts=["val_f1 > 0.9", "loss is nan"])
        def train(): ...

        with overnight.watch("baseline"):
            train()

    What is wrong with the arguments is said on stderr, and the program goes on with what is good.

    Args:
        name: The run's name; the function's, the script's or the notebook's by default.
        *more: Nothing; said and left out.
        channels: Whom to tell: names of channels. By default those of ``notify.yaml``, else all.
        alerts: Rules to be told of as well: ``"val_f1 > 0.9"``.
        **unknown: ``name``, if it was given by that word; any other is said and left out.

    Returns:
        For ``with``, or as a decorator; ``@overnight.watch`` without brackets works too.
    """
    if more:
        complain("watch.positional", value=_shown(more[0]))
    # By position only, so that one who gives it twice hears of it and is not ended by it.
    name = unknown.pop("name", None) if name is None else name
    for word in unknown:
        complain("watch.option", word=word)
    made = Watch(None if callable(name) else name, channels, alerts)
    return made(name) if callable(name) else made


def _begin(name: object, channels: object, alerts: object) -> tuple[_Part, Path | None]:
    global _open
    if job.is_silent() or is_trial():
        return _Part(None), None
    asked.look_at_the_system()
    with _lock:
        if _open is not None:
            asked.more(_open.job, _name_of(name), channels, alerts)
            _open.num_blocks += 1
            return _Part(_open), Path(_open.job.run.dir)
        found = job.current()
        if found is not None:
            asked.more(found, _name_of(name), channels, alerts)
            if _is_opened_by_us(found):
                witness.start(found.run)
            return _Part(None), Path(found.run.dir)
        opened = job.open_run(_name_of(name))
        _open = _Open(opened, time.monotonic())
        try:
            witness.start(opened.run)
            asked.first(opened, channels, alerts)
        except Exception as error:
            complain("watch.unwatched", error)
        except BaseException as error:  # a Ctrl-C: no block begins, so none would end
            _close(error)
            raise
        return _Part(_open, first=True), Path(opened.run.dir)


def _is_opened_by_us(found: job.Job) -> bool:
    """Whether this very process opened the run with ``init``: then nobody watches it yet."""
    process = (files.read_json(found.run.run_json) or {}).get("process")
    return process is not None and Identity.from_json(process) == Identity.of()


def _end(part: _Part, error: BaseException | None) -> None:
    with _lock:
        run = part.run
        if run is None or run is not _open:  # also in a forked child
            return
        run.num_blocks -= 1
        if part.first or not run.num_blocks:
            run.error = run.error or error
        if not run.num_blocks:
            _close(run.error)


def _close(error: BaseException | None) -> None:
    global _open
    assert _open is not None
    closing, _open = _open, None
    ran_s = time.monotonic() - closing.begun_s
    try:
        end = end_of(error, ran_s=ran_s)
    except Exception as trouble:  # an exception that cannot be shown ended it all the same
        complain("watch.not_ended", trouble)
        end = {**end_of(None, ran_s=ran_s), "code": 1}
    try:
        job.close_run(closing.job, end)
    except OSError as trouble:
        complain("watch.end_unwritten", trouble)
    try:
        witness.wake(closing.job.run)
    except OSError as trouble:
        complain("watch.untold", trouble)


def _name_of(name: object) -> str | None:
    """A name that can be a run's; None for the default."""
    if name is None:
        return None
    problem = name_problem(name) if isinstance(name, str) else "type"
    if problem is None:
        return str(name)
    better = name_from(_shown(name).replace("/", "_") + ".")
    complain("watch.name", name=_shown(name), better=better)
    return better


def _shown(value: object) -> str:
    try:
        return repr(value)[:80] if not isinstance(value, str) else value[:80]
    except Exception:  # its own __repr__ raises
        return type(value).__name__
