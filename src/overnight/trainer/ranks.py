"""Several processes for one fit: rank 0 starts the others, tells them to stop, and ends with them.

They are its children: one reads what it has to do from its standard input, ends when that is
closed, and writes to its standard output only why it could not go on. So none outlives rank 0,
however that dies, and none that dies is waited for: what rank 0 waits for in a card, nobody can
interrupt, so a thread looks after them.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import torch
from torch import distributed

from overnight.errors import OvernightError, UserError, UserErrors
from overnight.tasks.base import FitContext, Stop, Task
from overnight.trainer.console import Console
from overnight.trainer.rank import LENGTH_BYTES, STOP
from overnight.trainer.stop import Stopped
from overnight.trainer.team import Group

_HOST = "127.0.0.1"
#: torch's own for gloo. A rank that died is noticed at once; this is for one that hangs.
_TIMEOUT = timedelta(minutes=30)
#: From a rank's death to the end of all, if rank 0 does not notice by itself.
_GRACE_S = 20.0
#: What ranks have to end in by themselves when all is done.
_END_S = 30.0
#: An error of rank 0 may be the echo of a rank's death, which is known a moment later.
_ECHO_S = 2.0
_LOOK_S = 0.2
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def world(asked: int | Literal["auto"], on: torch.device) -> int:
    """How many processes ``train.devices`` means on this machine.

    Raises:
        UserError: There are not so many cards.
    """
    num_cards = torch.cuda.device_count() if on.type == "cuda" else int(on.type != "cpu")
    if asked == "auto":
        return max(1, num_cards)
    if num_cards and asked > num_cards:
        raise UserError("engine.devices", where="train.devices", asked=asked, num=num_cards)
    return asked


def environment(rank: int, num: int, num_threads: int) -> dict[str, str]:
    """The variables by which torch, accelerate and the ledger know a rank."""
    # Other machines have no part in it, and other users' are not to see its ports.
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    asked = {name: os.environ.get(name, loopback) for name in _INTERFACES}
    # Nobody looks at the port, but accelerate would set one and leave it there.
    mine = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "LOCAL_WORLD_SIZE": num,
            "OMP_NUM_THREADS": num_threads, "MASTER_PORT": 0}  # fmt: skip
    return {**asked, **{name: str(value) for name, value in mine.items()}}


def join(store: distributed.Store, rank: int, num: int, on: torch.device) -> Group:
    """Makes the process group, from inside one of its processes."""
    backend = "cpu:gloo,cuda:nccl" if on.type == "cuda" else "gloo"
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=num, timeout=_TIMEOUT
    )
    return Group(rank, num)


def connect(port: int, num: int) -> distributed.Store:
    """Where the others meet rank 0."""
    return distributed.TCPStore(_HOST, port, num, is_master=False, timeout=_TIMEOUT)


class _Relay:
    """Rank 0's wish to stop, told to the others the first time it is heard.

    They ignore signals: whether a signal came to one or to all, one hears it.
    """

    def __init__(self, stop: Stop, ranks: Ranks) -> None:
        self._stop, self._ranks = stop, ranks
        self._told = False

    def asked(self) -> Literal["signal", "deadline", "pruned"] | None:
        asked = self._stop.asked()
        if asked == "signal" and not self._told:
            self._told = True
            self._ranks.tell(STOP)
        return asked


class Ranks:
    """The processes beside rank 0.

    Args:
        num: How many processes train, rank 0 among them.
        num_threads: That each of them computes with.
        job: What each has to do; pickled, with its rank.
    """

    def __init__(self, num: int, num_threads: int, job: Mapping[str, Any]) -> None:
        self._num, self._over = num, threading.Event()
        # Its own socket, since torch's would listen to the whole network.
        door = socket.create_server((_HOST, 0))
        port = door.getsockname()[1]
        self._store = distributed.TCPStore(
            _HOST, port, num, is_master=True, wait_for_workers=False, timeout=_TIMEOUT,
            master_listen_fd=door.detach(),
        )  # fmt: skip
        safe = ["-P"] if sys.flags.safe_path else []
        self._children: list[subprocess.Popen[bytes]] = []
        self._said: dict[int, bytes] = {}
        self._listeners: list[threading.Thread] = []
        try:
            for rank in range(1, num):
                child = subprocess.Popen(
                    [sys.executable, *safe, "-m", "overnight.trainer.rank"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                    env={**os.environ, **environment(rank, num, num_threads)},
                )  # fmt: skip
                self._children.append(child)
                listener = threading.Thread(target=self._listen, args=(rank, child), daemon=True)
                listener.start()
                self._listeners.append(listener)
                self._give(child, {**job, "rank": rank, "world": num, "port": port})
        except BaseException:
            self.end(at_once=True)
            raise

    def wait_until_ready(self, stop: Stop) -> distributed.Store:
        """Until all have loaded what they need.

        Raises:
            OvernightError: One of them died.
            Stopped: It was asked to end before anything began.
        """
        names = [f"ready{rank}" for rank in range(1, self._num)]
        while not self._store.check(names):
            if (died := self.died()) is not None:
                raise died
            if stop.asked() == "signal":
                raise Stopped
            time.sleep(_LOOK_S)
        threading.Thread(target=self._look_after, daemon=True).start()
        return self._store

    def tell(self, word: bytes) -> None:
        """Something to all of them."""
        for child in self._children:
            assert child.stdin is not None
            with suppress(OSError):  # it has died, which others notice
                child.stdin.write(word)

    def _give(self, child: subprocess.Popen[bytes], job: Mapping[str, Any]) -> None:
        """What it has to do; its length first, so that it reads before it loads torch."""
        content = pickle.dumps(job)
        assert child.stdin is not None
        with suppress(OSError):  # as above
            left = memoryview(len(content).to_bytes(LENGTH_BYTES, "big") + content)
            while left:
                left = left[child.stdin.write(left) :]

    def died(self) -> OvernightError | None:
        """The first that could not go on, and why; None while all are well."""
        for rank, child in enumerate(self._children, 1):
            if (code := child.poll()) is not None:
                self._listeners[rank - 1].join(_ECHO_S)  # its last words
            why = self._said.get(rank, b"").decode(errors="replace").strip()
            if why or code not in (None, 0):
                why = why or _ending(code or 0)
                return OvernightError("engine.rank_died", where="train.devices", rank=rank, why=why)
        return None

    def end(self, *, at_once: bool) -> None:
        """Returns when none of them is left."""
        self._over.set()
        until = time.monotonic() + (0 if at_once else _END_S)
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, until - time.monotonic()))
            assert child.stdin is not None
            with suppress(OSError):
                child.stdin.close()
        for child in self._children:
            try:
                child.wait(_ECHO_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _listen(self, rank: int, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        # Read without a file's lock, as in Wish.listen.
        while part := os.read(child.stdout.fileno(), 4096):
            self._said[rank] = self._said.get(rank, b"") + part
        child.stdout.close()

    def _look_after(self) -> None:
        """Ends this process, if one of them has died and nothing else ends it."""
        while self.died() is None:
            if self._over.wait(_LOOK_S):
                return
        if not self._over.wait(_GRACE_S) and (died := self.died()) is not None:
            Console().refuse([died])
            # The fit's thread stands in a call that nothing interrupts; what is on the disk is
            # whole, and the next attempt goes on from it.
            os._exit(died.exit_code)


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"


@contextmanager
def together(
    num: int, task: Task, ctx: FitContext, on: torch.device, **more: Any
) -> Iterator[tuple[FitContext, Group]]:
    """Within it ``num`` processes fit; gives rank 0's context and team.

    Args:
        num: At least 2.
        task: Pickled for the others, as the context is without what belongs to rank 0.
        ctx: The fit's.
        on: Rank 0's device.
        **more: What else each of them is given.

    Raises:
        OvernightError: One of them died; all are gone.
        Stopped: It was asked to end before anything began.
    """
    was_threads = torch.get_num_threads()
    num_threads = max(1, was_threads // num) if on.type == "cpu" else was_threads
    bare = replace(ctx, ledger=None, stop=None, report=None, world=num)  # type: ignore[arg-type]
    ranks = Ranks(num, num_threads, {"task": task, "ctx": bare, "threads": num_threads, **more})
    at_once = True
    try:
        store = ranks.wait_until_ready(ctx.stop)
        with _as_rank_0(environment(0, num, num_threads), num_threads):
            yield replace(ctx, world=num, stop=_Relay(ctx.stop, ranks)), join(store, 0, num, on)
        at_once = False
    except Exception as error:
        died = None
        if not isinstance(error, (OvernightError, UserErrors, Stopped)):
            until = time.monotonic() + _ECHO_S
            while (died := ranks.died()) is None and time.monotonic() < until:
                time.sleep(_LOOK_S)
        if died is not None:
            raise died from error
        raise
    finally:
        ranks.end(at_once=at_once)


@contextmanager
def _as_rank_0(variables: Mapping[str, str], num_threads: int) -> Iterator[None]:
    """This process as one of several; afterwards it is by itself again."""
    was_threads = torch.get_num_threads()
    was = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        torch.set_num_threads(was_threads)
        for name, value in was.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
