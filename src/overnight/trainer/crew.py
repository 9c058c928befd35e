"""The processes of a search: begun, dealt their cards, replaced when they die, ended with it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from overnight.errors import OvernightError
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.trainer import search
from overnight.trainer.console import Console
from overnight.trainer.kept import Plan
from overnight.tuning.cards import environments
from overnight.tuning.study import MOST_DEATHS, Study

if TYPE_CHECKING:
    from overnight.spec import Spec

#: What trainer/trials.py leaves with.
_NONE_LEFT, _STOPPED, _FRESH_PLEASE = 0, 143, 75
#: A checkpoint of a large model onto a slow disk. The supervisor's own patience ends before.
_SAVE_S = 600.0
#: So many that die one after another without having had a trial: the next one would, too.
_BORN_DEAD = 3


class Crew:
    """The workers of a search.

    Args:
        run: The search's run.
        console: Where is said what happens to them.
        spec: What each of them needs.
        plan: Likewise.
        study: Which knows what there is to do.
    """

    def __init__(
        self, run: RunPaths, console: Console, spec: Spec, plan: Plan, study: Study
    ) -> None:
        self._run, self._console, self._study = run, console, study
        self._given = pickle.dumps((spec, plan))
        train: Any = spec.train
        self._environments = environments(search.tuning_of(spec).workers, train.devices)
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._born_dead = 0

    @property
    def num_alive(self) -> int:
        """How many are there."""
        return len(self._workers)

    def see_to(self, num: int) -> None:
        """Buries the dead, and begins as many as there is work for, ``num`` at most.

        Raises:
            OvernightError: They die before they have had a trial.
        """
        for place, worker in list(self._workers.items()):
            if (code := worker.poll()) is not None:
                self._bury(place, worker, code)
        missing = min(num, len(self._workers) + self._study.num_left()) - len(self._workers)
        for place in range(num):
            if missing > 0 and place not in self._workers:
                self._workers[place] = self._begin(place)
                missing -= 1

    def _begin(self, place: int) -> subprocess.Popen[bytes]:
        safe = ["-P"] if sys.flags.safe_path else []
        worker = subprocess.Popen(
            [sys.executable, *safe, "-m", "overnight.trainer.trials", self._run.dir],
            stdin=subprocess.PIPE, env={**os.environ, **self._environments[place]},
        )  # fmt: skip
        # In a thread: a worker that takes long to start would be waited for.
        threading.Thread(target=self._give, args=(worker,), daemon=True).start()
        return worker

    def _give(self, worker: subprocess.Popen[bytes]) -> None:
        assert worker.stdin is not None
        with suppress(OSError):  # it has died, which is noticed elsewhere
            worker.stdin.write(self._given)
            worker.stdin.flush()

    def _bury(self, place: int, worker: subprocess.Popen[bytes], code: int) -> None:
        del self._workers[place]
        _close(worker)
        if code in (_NONE_LEFT, _STOPPED, _FRESH_PLEASE):
            self._born_dead = 0
            if code == _FRESH_PLEASE:
                self._console.line("TUNE", f"! {say('tune.fresh')}")
            return
        how = _ending(code)
        trial = self._study.died(worker.pid, say("tune.died_twice", how=how, num=MOST_DEATHS))
        if trial is None:
            self._born_dead += 1
            if self._born_dead >= _BORN_DEAD:
                raise OvernightError("tune.born_dead", where=self._run.run_id, how=how)
            return
        self._born_dead = 0
        self._console.line(f"TRIAL {trial}", f"! {say('tune.died', how=how)}")

    def stop(self) -> None:
        """Asks all of them to leave, and waits until they have saved what they have."""
        for worker in self._workers.values():
            with suppress(OSError):
                worker.send_signal(signal.SIGTERM)
        until = time.monotonic() + _SAVE_S
        for worker in self._workers.values():
            with suppress(subprocess.TimeoutExpired):
                worker.wait(max(0.0, until - time.monotonic()))

    def end(self) -> None:
        """Returns when none of them is left."""
        for worker in self._workers.values():
            if worker.poll() is None:
                worker.kill()
            worker.wait()
            _close(worker)
        self._workers.clear()


def _close(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin is not None
    with suppress(OSError):
        worker.stdin.close()


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
