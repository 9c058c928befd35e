"""One trial of a script's search: a process of its own, looked after until it is over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from overnight.ledger import files
from overnight.messages import say
from overnight.supervisor import process
from overnight.supervisor.diagnose import Cause, Ending, diagnose
from overnight.supervisor.ending import log_tail
from overnight.supervisor.oom import OomCounters
from overnight.tasks.base import Json
from overnight.tuning.numbers import Numbers
from overnight.tuning.script import Script
from overnight.tuning.study import Ended, Study, Trial
from overnight.tuning.wandb_sweep import WandbSweep

assert sys.platform != "win32"

#: From SIGTERM to SIGKILL, for a trial that is cut short or left to a resume.
_GRACE_S = 10.0
_LEFTOVERS_GRACE_S = 3.0
#: At first somebody may look on, and a trial of seconds is not to wait for us.
_BRISK_LOOK_S, _BRISK_FOR_S, _LOOK_S = 0.05, 10.0, 0.25
Stop = Literal["", "leave", "end"]
#: Of a process whose trial ends it: nobody keeps what these are.
_OWN = ("OVERNIGHT_RESUME",)


class Attempt:
    """One attempt at one trial.

    Args:
        script: What is run.
        trial: What it tries.
        search: Whom its numbers are told.
        env: What is its alone: its cards.
        stop: Whether to go on: ``leave`` it to whoever comes next, or ``end`` it for good.
        printed: Called once its number is read from what it prints.
    """

    def __init__(
        self,
        script: Script,
        trial: Trial,
        search: Study,
        env: Mapping[str, str],
        stop: Callable[[], Stop],
        printed: Callable[[], None],
    ) -> None:
        self._script, self._trial, self._search = script, trial, search
        self._stop, self._printed = stop, printed
        # A notebook runs where it lies, and imports what lies beside it.
        beside = str(Path(script.path).parent)
        self._cwd = beside if script.is_notebook else script.cwd
        self._env = self._environment(env)
        self._begun = time.monotonic()
        self._last_at = self._begun

    def run(self) -> None:
        """Runs the trial to its end, which the search is told; or leaves it, where asked to stop.

        Raises:
            OSError: The run's folder cannot be written.
        """
        trial, run = self._trial, self._trial.run
        if trial.attempt:
            # Of an attempt whose search was killed something may still be at work.
            _end_all_of(run.dir)
        program, json_file = self._prepare()
        argv = self._script.call(trial.values, self._env, json_file=json_file, program=program)
        log = os.open(run.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        log_from = os.fstat(log).st_size
        numbers = Numbers(run, self._script.metric, self._search.settings.goal, log_from=log_from)
        try:
            child = subprocess.Popen(
                argv, cwd=self._cwd, env=self._env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            why = say("sweep.cannot_start", program=argv[0], reason=error.strerror or str(error))
            self._tell("failed", why=why)
            return
        finally:
            os.close(log)
        counters = OomCounters.read(child.pid)
        why_cut = self._watch(child, numbers)
        self._report(numbers)
        _end_all_of(run.dir)
        code = child.returncode
        if self._stop() == "leave" and code != 0:
            self._search.give_back(trial, time_s=self._ran_s)
        elif why_cut is not None:
            self._tell("pruned", why=why_cut, code=code)
        elif code != 0:
            tail = log_tail(run, since=log_from)
            cause = diagnose(
                Ending(
                    code=code if code >= 0 else None,
                    signal=-code if code < 0 else None,
                    log_tail=tail,
                    oom_kills=counters.again().since(counters),
                    ran_s=self._ran_s,
                ),
                self._env,
            )
            self._tell("failed", why=_in_a_line(cause), code=code, traceback=tail)
        else:
            self._of_number(numbers)

    def _of_number(self, numbers: Numbers) -> None:
        """A trial that ended well, by its number."""
        value = numbers.value()
        if value is not None:
            self._tell("complete", value)
            return
        known = numbers.names()
        key = "sweep.no_number_known" if known else "sweep.no_number"
        self._tell("failed", why=say(key, metric=self._script.metric, known=known))

    def _watch(self, child: subprocess.Popen[bytes], numbers: Numbers) -> str | None:
        """Until it has ended; why it was cut short, or None."""
        why: str | None = None
        kill_at = 0.0
        while True:
            brisk = time.monotonic() - self._begun < _BRISK_FOR_S
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_BRISK_LOOK_S if brisk else _LOOK_S)
                return why
            if kill_at:
                if time.monotonic() >= kill_at:
                    process.send_group(child.pid, signal.SIGKILL)
                continue
            if not self._report(numbers):
                why = self._search.settings.pruner
            elif isinstance(self._search, WandbSweep) and self._search.is_stopped(self._trial):
                why = "wandb"
            elif self._is_late():
                why = "deadline"
            elif self._stop() == "end":
                why = say("sweep.ended")
            if why is not None or self._stop():
                process.send_group(child.pid, signal.SIGTERM)
                kill_at = time.monotonic() + _GRACE_S

    def _report(self, numbers: Numbers) -> bool:
        """Tells the search what is new; False: it is not worth going on."""
        goes_on = True
        for step, value in numbers.look():
            now = time.monotonic()
            goes_on &= self._search.report(self._trial, step, value, time_s=now - self._last_at)
            self._last_at = now
            if numbers.is_printed:
                self._printed()
        return goes_on

    def _is_late(self) -> bool:
        ends_us = self._search.ends_us
        return ends_us is not None and time.time_ns() // 1000 >= ends_us

    @property
    def _ran_s(self) -> float:
        return time.monotonic() - self._begun

    def _tell(
        self,
        state: Ended,
        value: float | None = None,
        *,
        why: str | None = None,
        code: int | None = None,
        traceback: str | None = None,
    ) -> None:
        number = -code if code is not None and code < 0 else None
        self._search.tell(
            self._trial, state, value, time_s=self._ran_s, why=why, traceback=traceback,
            code=code if number is None else None, signal=number,
        )  # fmt: skip

    # ── how it is started ────────────────────────────────────────────────────────────────────

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        trial = self._trial
        env = {name: value for name, value in os.environ.items() if name not in _OWN}
        env |= {
            **own,
            "OVERNIGHT_RUN_DIR": trial.run.dir,
            "OVERNIGHT_ATTEMPT": str(trial.attempt),
            "PWD": self._cwd,
            # What wandb.init() of a script reads its values from, as under W&B's own agent.
            "WANDB_SWEEP_PARAM_PATH": trial.run.at("code", "values.yaml"),
        }
        if trial.attempt:
            env["OVERNIGHT_RESUME"] = "1"
        if self._script.is_notebook:
            path = [self._cwd, *filter(None, [env.get("PYTHONPATH", "")])]
            env["PYTHONPATH"] = os.pathsep.join(path)
        return env

    def _prepare(self) -> tuple[str, str]:
        """Writes what a trial reads; gives the program and the file of its values."""
        run, values = self._trial.run, dict(self._trial.values)
        json_file = run.at("code", "values.json")
        files.replace(json_file, json.dumps(values).encode() + b"\n", sync=False)
        wandb: dict[str, Json] = {name: {"value": value} for name, value in values.items()}
        files.replace(run.at("code", "values.yaml"), json.dumps(wandb).encode() + b"\n", sync=False)
        if not self._script.is_notebook:
            return self._script.path, json_file
        from overnight.notebook import convert

        notebook = Path(self._script.path)
        converted = convert(
            notebook,
            overrides={name: str(value) for name, value in values.items()},
            paths=self._script.path_map,
            env=os.environ,
        )
        program = run.at("code", notebook.stem + ".py")
        files.replace(program, converted.source.encode(), sync=False)
        return program, json_file


def _in_a_line(cause: Cause) -> str:
    """Why a trial failed: an exception says so itself."""
    if cause.kind != "exception" or not cause.evidence:
        return f"{cause.text} ({cause.evidence})" if cause.evidence else cause.text
    at = "file" in cause.fields and f" ({cause.fields['file']}:{cause.fields.get('line', '?')})"
    return cause.evidence + (at or "")


def _end_all_of(run_dir: str) -> None:
    """Ends what is still at work for a trial that is over, wherever it has gone."""
    process.end_all(
        lambda: process.of_run(run_dir, set()), _LEFTOVERS_GRACE_S, lambda: time.sleep(0.02)
    )
