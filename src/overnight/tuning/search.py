"""A search over a script's options, from its first trial to what it leaves.

Each worker is a thread that has one trial at a time; the trial is a process of its own. The main
thread says what happens, and is told when to stop.
"""

from __future__ import annotations

import shlex
import sys
import threading
from pathlib import Path

from overnight.errors import UserError
from overnight.ledger import job
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.redact import redact
from overnight.supervisor.ending import log_tail
from overnight.tuning import lines
from overnight.tuning.attempt import Attempt, Stop
from overnight.tuning.cards import environments
from overnight.tuning.script import Script
from overnight.tuning.study import Study, Told
from overnight.tuning.told import Announcer, leave
from overnight.tuning.wandb_sweep import open_search

_LOOK_S = 0.2
#: So many first trials that all fail for the same reason: the next ones would, too.
_HOPELESS = 3
#: Of a trial that failed, shown where all have failed.
_SHOWN_LINES = 30


class Stopped(Exception):  # noqa: N818  (nothing went wrong)
    """The search was asked to end, and goes on with the next attempt."""


class Search:
    """A search of a run.

    Args:
        run: Its run.
        script: What is searched.
        stop: Whether this process was asked to end.
    """

    def __init__(self, run: RunPaths, script: Script, stop: threading.Event) -> None:
        self._run, self._script, self._stop = run, script, stop
        #: The workers end when they are asked to, or when one of them could not go on.
        self._over = threading.Event()
        self._study = self._open()
        self._announcer = Announcer(run, self._study)
        self._said: dict[int, str] = {}
        #: Trials that ended in an earlier attempt.
        self._over_before: set[int] = set()
        #: Why the search need not go on.
        self._hopeless: str | None = None
        self._errors: list[BaseException] = []
        self._has_told_printed = False

    def _open(self) -> Study:
        return open_search(
            self._run, self._script.settings(), metric=self._script.metric, stop=self._over.is_set
        )

    def run(self) -> None:
        """Until the search is over.

        Raises:
            Stopped: It was asked to end; no trial is at work.
            UserError: No trial has brought a number.
            OSError: The run's folder cannot be written.
        """
        study, script = self._study, self._script
        settings, workers = study.settings, script.workers
        at_a_time = f", {workers} at a time" if workers > 1 else ""
        _line(
            "TUNE",
            f"{settings.most} trials of {Path(script.path).name}, {settings.method}, pruner"
            f" {settings.pruner}, {settings.goal} {script.metric}, parameters"
            f" {', '.join(settings.space)}{at_a_time}",
        )
        earlier = study.trials()
        if earlier:
            _line("TUNE", f"{len(earlier)} trials were begun in earlier attempts")
        for each in earlier:
            self._said[each.number] = each.state
            if each.state == "running":
                _line(f"TRIAL {each.number}", f"{lines.values(each.values)} (goes on)")
            else:
                self._over_before.add(each.number)
        threads = [
            threading.Thread(target=self._work, args=(env,), daemon=True)
            for env in environments(workers)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if self._stop.wait(_LOOK_S):
                self._over.set()
            self._tell()
        self._tell()
        if self._errors:
            raise self._errors[0]
        if self._stop.is_set():
            raise Stopped
        if self._hopeless is not None:
            _line("TUNE", f"! {say('tune.hopeless', why=self._hopeless)}")
        self._end()

    def _work(self, env: dict[str, str]) -> None:
        """Trial after trial, until none is left."""
        try:
            study = self._open()
            while not self._over.is_set():
                if (why := self._same_failure(study.trials())) is not None:
                    self._hopeless = why
                    self._over.set()
                elif (trial := study.ask()) is not None:
                    Attempt(self._script, trial, study, env, self._ends, self._tell_printed).run()
                else:
                    break
        except BaseException as error:  # told by the main thread
            self._errors.append(error)
            self._over.set()

    def _same_failure(self, trials: list[Told]) -> str | None:
        """Why the first trials of this attempt have all failed, where it is the same for all.

        Those of earlier attempts do not count: the script may have been mended since.
        """
        if any(each.state == "complete" for each in trials):
            return None
        ended = [
            each
            for each in trials
            if each.state != "running" and each.number not in self._over_before
        ][:_HOPELESS]
        reasons = {each.why if each.state == "failed" else None for each in ended}
        return reasons.pop() if len(ended) == _HOPELESS and len(reasons) == 1 else None

    def _ends(self) -> Stop:
        """What becomes of a trial under way."""
        if not self._over.is_set():
            return ""
        return "end" if self._hopeless is not None else "leave"

    def _tell_printed(self) -> None:
        if not self._has_told_printed:
            self._has_told_printed = True
            _line("TUNE", say("sweep.printed", metric=self._script.metric))

    def _tell(self) -> None:
        """Says what is new of the trials."""
        trials = self._announcer.announce()
        num_over = 0
        for each in trials:
            num_over += each.state != "running"
            if self._said.get(each.number) == each.state:
                continue
            if each.number not in self._said:
                _line(f"TRIAL {each.number}", lines.values(each.values))
            self._said[each.number] = each.state
            if each.state != "running":
                self._tell_end(each, trials)
        job.progress(num_over, max(self._study.num_trials, len(trials)), unit="trial")

    def _tell_end(self, each: Told, trials: list[Told]) -> None:
        metric = self._script.metric
        of = max(self._study.num_trials, len(trials))
        _line(f"TRIAL {each.number}", redact(lines.ended(each, metric, of=of)))
        best = self._study.best()
        if best is not None and best.number == each.number:
            _say(f"BEST_TRIAL {each.number}: {metric} {best.value:.4f}")

    def _end(self) -> None:
        """Leaves what the search has found.

        Raises:
            UserError: It has found nothing.
        """
        study, script = self._study, self._script
        trials, best = study.trials(), study.best()
        leave(self._run, study, script.metric)
        if best is None or best.value is None:
            self._show_first_failure(trials)
            why = next((each.why for each in trials if each.why), "?")
            command = shlex.join(script.again(trials[0].values)) if trials else ""
            raise UserError("sweep.none_complete", num=len(trials), why=why, command=command)
        job.log({script.metric: best.value}, summary=True)
        num = sum(each.state == "complete" for each in trials)
        _line(
            "TUNE",
            f"{num} of {len(trials)} trials complete; best is trial {best.number},"
            f" {script.metric} {best.value:.4f}: {lines.values(best.values)}",
        )
        command = shlex.join(script.again(best.values))
        _line("DONE", say("sweep.again", command=redact(command)))

    def _show_first_failure(self, trials: list[Told]) -> None:
        first = next((each for each in trials if each.state == "failed"), None)
        if first is not None:
            child = self._run.child(f"trial{first.number:04d}")
            for text in log_tail(child).splitlines()[-_SHOWN_LINES:]:
                _say(f"    {redact(text)}")
            _line("TUNE", f"trial {first.number}: {child.log}")


def _line(tag: str, text: str) -> None:
    _say(f"[{tag}] {text}")


def _say(text: str) -> None:
    """A line of the run's log. One that a full disk does not take is lost."""
    try:
        print(text, file=sys.stdout, flush=True)  # noqa: T201  (the log)
    except OSError:
        return
