"""``python -m overnight.trainer.trials RUN_DIR``: a worker of a search, trial after trial.

A child of the session, which gives it the spec and the data's plan on standard input, and with
whose end it ends. torch and the decoded images are loaded once. Exit codes: 0 no trial is left; 143
asked to stop, and left whole; 75 its card can do no more, and a fresh process can; anything else it
died of.
"""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from overnight.errors import OvernightError, UserErrors
from overnight.ledger import job as pens
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.redact import redact
from overnight.spec import Spec
from overnight.trainer import search
from overnight.trainer.console import Console
from overnight.trainer.kept import Plan
from overnight.trainer.stop import SignalStop, Stopped
from overnight.trainer.trial import Cut, TrialFits
from overnight.tuning import lines
from overnight.tuning.study import Ended, Study, Trial
from overnight.tuning.wandb_sweep import open_search

NONE_LEFT, STOPPED, FRESH_PLEASE = 0, 143, 75
#: The session is gone: nobody is left to say anything to.
_LEFT_ALONE = 71


class BrokenCardError(Exception):
    """What was computed on the card has left it unusable for this process."""


class Worker:
    """Runs trials until none is left.

    Args:
        spec: What it was asked for.
        plan: The data and its folds.
        stop: Whether this process has to end.
        console: Where its lines go.
        asks: Who says what is tried.
    """

    def __init__(
        self, spec: Spec, plan: Plan, stop: SignalStop, console: Console, asks: Study
    ) -> None:
        self.console, self._search, self._stop = console, asks, stop
        self._fits = TrialFits(spec, plan, stop, console, asks)
        self._metric = search.metric(spec)

    def work(self) -> None:
        """Trial after trial.

        Raises:
            Stopped: It was asked to end; its trial goes on in another process.
            BrokenCardError: Another process has to go on; the trial is over.
        """
        while self.one():
            pass

    def one(self) -> bool:
        """The next trial; False: none is left.

        Raises:
            Exception: As :meth:`work` does.
        """
        self._stop.leave_if_asked()
        trial = self._search.ask()
        if trial is not None:
            self._run(trial)
        return trial is not None

    def _run(self, trial: Trial) -> None:
        number, begun = trial.number, time.monotonic()
        again = " (goes on)" if trial.attempt else ""
        self.console.line(f"TRIAL {number}", f"{lines.values(trial.values)}{again}")
        own = pens.Job(trial.run, trial.attempt)
        pens.switch_to(own)
        state: Ended = "complete"
        said: dict[str, Any] = {}
        broken = False
        try:
            said["value"] = self._fits.value(trial)
        except Cut as cut:
            state, said["why"] = "pruned", cut.why
        except Stopped:
            self._search.give_back(trial, time_s=time.monotonic() - begun)
            raise
        except Exception as error:  # whatever a trial dies of, the others need not
            state, said["why"] = "failed", reason(error)
            said["traceback"] = traceback.format_exc()
            self._explain(trial, said["traceback"], error)
            broken = not _computes()
        finally:
            pens.switch_to(None)
            own.close()
        self._search.tell(trial, state, time_s=time.monotonic() - begun, **said)
        # A thousand trials would fill a disk; what they have found is in the ledger.
        shutil.rmtree(trial.run.ckpt, ignore_errors=True)
        told = self._search.trials()[number]
        of = self._search.num_trials
        self.console.line(f"TRIAL {number}", lines.ended(told, self._metric, of=of))
        if (best := self._search.best()) is not None and best.number == number:
            self.console.say(f"BEST_TRIAL {number}: {self._metric} {best.value:.4f}")
        if broken:
            raise BrokenCardError
        _free()

    def _explain(self, trial: Trial, text: str, error: Exception) -> None:
        """A line in the run's log, whose end is no place for it; the whole in the trial's own."""
        fix = ""
        if isinstance(error, OvernightError):
            fix = error.fix
        elif isinstance(error, UserErrors):
            fix = error.errors[0].fix
        else:
            fix = say("tune.traceback", path=f"children/{Path(trial.run.dir).name}/output.log")
        self.console.line(f"TRIAL {trial.number}", f"! {redact(reason(error))}: {fix}")
        with suppress(OSError), Path(trial.run.log).open("a", encoding="utf-8") as log:
            log.write(redact(text))


def reason(error: BaseException) -> str:
    """What a trial died of, in a line; the same for the same cause."""
    if isinstance(error, UserErrors):
        return error.errors[0].what
    if isinstance(error, OvernightError):
        return error.what
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _computes() -> bool:
    """Whether the card still does: an assertion on it ends all that this process has there."""
    import torch

    if not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
        return bool(torch.ones(2, device="cuda").sum().item() == 2)
    except Exception:  # of whatever type this version's errors are
        return False


def _free() -> None:
    """Gives back what the trial took: a trainer is a ring of objects, which wait for this."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def warm_up() -> None:
    """Loads what every trial needs, before the first one's clock begins."""
    import overnight.trainer.engine  # noqa: F401

    # It stays: a collection need not look through it after each trial, which takes 0.2 s.
    gc.collect()
    gc.freeze()


def main(words: list[str]) -> int:
    """Runs trials; gives the exit code."""
    console = Console()
    stop = SignalStop()
    stop.install()
    run = RunPaths(words[0])
    os.environ["OVERNIGHT_RUN_DIR"] = run.dir
    spec, plan = _given()
    try:
        settings = search.settings(spec, len(plan.scopes))
        study = open_search(run, settings, metric=search.metric(spec), stop=stop.asked)
        warm_up()
        Worker(spec, plan, stop, console, study).work()
    except Stopped:
        return STOPPED
    except BrokenCardError:
        return FRESH_PLEASE
    except UserErrors as error:
        console.refuse(error.errors)
        return 2
    except OvernightError as error:
        console.refuse([error])
        return error.exit_code
    return NONE_LEFT


def _given() -> tuple[Spec, Plan]:
    """What the session wrote; from then on its end is this process's end."""
    source = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    spec, plan = pickle.load(source)

    def listen() -> None:
        while source.read(1):
            pass
        os._exit(_LEFT_ALONE)

    threading.Thread(target=listen, daemon=True).start()
    return spec, plan


if __name__ == "__main__":
    # Not by way of the interpreter's end, which may wait for threads of libraries.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
