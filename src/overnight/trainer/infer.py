"""A prediction: a run of kind ``infer``, or the last stage of a pipeline.

What is over is never done again: rows that an earlier attempt has written stay, and a submission
that is whole is taken as it is.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from overnight import model_folder
from overnight.errors import UserError, UserErrors
from overnight.ledger import files, job, media
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail
from overnight.messages import say
from overnight.prediction import asked as asking
from overnight.prediction import form, stream, submission
from overnight.prediction.rows import RowsFile
from overnight.tasks.base import Example, Scope
from overnight.tasks.predictor import Inputs, Source, ToPredict, Views
from overnight.trainer.console import Console, counted
from overnight.trainer.ledger import RunLedger
from overnight.trainer.stop import SignalStop, Stopped

if TYPE_CHECKING:
    from overnight.model_folder import Card
    from overnight.spec import Spec
    from overnight.tasks.base import TaskInfo

SUBMISSION, PROBABILITIES = "submission.csv", "probabilities.npy"
#: A line of a long pass, at most so often.
_TELL_EVERY_S = 10.0
#: Inputs that cannot be read are named one by one up to here; so are classes.
_NAMED = 20
_CLASSES_NAMED = 12

Progress = Callable[[int, int], None]


def predict(run: RunPaths, console: Console, stop: SignalStop) -> None:
    """One attempt of a run of kind ``infer``.

    Raises:
        UserError, UserErrors: What keeps it from predicting.
        Stopped: It was asked to end; another attempt goes on from here.
    """
    from overnight import __version__

    attempt = int(os.environ.get("OVERNIGHT_ATTEMPT", "0") or 0)
    again = f", attempt {attempt + 1}" if attempt else ""
    console.line("BOOT", f"overnight {__version__}, pid {os.getpid()}{again}")
    asked = asking.of_run(run)
    card = model_folder.verify(asked.model.folder, task=asked.task, output="classes")
    if card.sha256 != asked.model.sha256:
        raise UserError("predict.model_changed", where=asked.model.folder)
    job.event("Configured", task=asked.task, model=str(card.folder), members=len(card.members))
    inputs: Inputs = _named(asked.info.inputs)()
    _Pass(
        run,
        console,
        stop,
        asked.info,
        card,
        inputs.find(asked.source),
        views=asked.tta,
        unreadable=asked.unreadable,
        batch_size=asked.batch_size,
        num_workers=asked.num_workers,
        amp=asked.amp,
        name=asked.name,
    ).make(_progress(RunLedger()))
    console.line("DONE", f"{run.at(SUBMISSION)}")


def after_training(
    run: RunPaths,
    console: Console,
    spec: Spec,
    stop: SignalStop,
    *,
    progress: Progress | None = None,
) -> None:
    """Predicts the config's test images with the run's own model.

    A deadline is not listened to: whoever planned the time has kept some for this, and half of a
    submission is none.

    Args:
        run: With its ``model/``.
        console: Where its lines go.
        spec: What was asked for.
        stop: Whether it was asked to end.
        progress: Told how many images are done, of how many; None: told as the whole run's.

    Raises:
        UserError, UserErrors: What keeps it from predicting.
        Stopped: A person asked for it; another attempt goes on behind the last whole batch.
    """
    card = model_folder.verify(run.at("model"), task=spec.task, output="classes")
    train: Any = spec.train
    data: Any = spec.data
    inputs: Inputs = _named(spec.info.inputs)()
    found = inputs.find(Source(Path(run.root), data=data))
    # Whoever lets images be left out of the training has been told of these, and wants a result.
    is_lenient = getattr(data, "unreadable", "refuse") == "quarantine"
    _Pass(
        run,
        console,
        stop,
        spec.info,
        card,
        _without_stops(found) if is_lenient else found,
        views=spec.predict.tta,
        unreadable="default" if is_lenient else spec.predict.unreadable,
        batch_size=train.batch_size,
        num_workers=train.num_workers,
        amp=train.amp,
        name=spec.project.name,
    ).make(progress or _progress(RunLedger()))


class _Pass:
    """One pass over all inputs, from whatever an earlier attempt has left of it.

    Args:
        run: Where the results go.
        console: Where its lines go.
        stop: Whether it was asked to end.
        info: The task.
        card: The model, verified.
        found: What is to be predicted.
        views: See ``overnight.tasks.predictor``.
        unreadable: What happens where an input cannot be read.
        batch_size: Inputs at a time.
        num_workers: Processes that load.
        amp: As ``train.amp``.
        name: Of the run, for what it leaves.
    """

    def __init__(
        self,
        run: RunPaths,
        console: Console,
        stop: SignalStop,
        info: TaskInfo,
        card: Card,
        found: ToPredict,
        *,
        views: Views,
        unreadable: Literal["refuse", "default"],
        batch_size: int,
        num_workers: int | Literal["auto"],
        amp: Literal["auto", "off", "bf16", "fp16"],
        name: str,
    ) -> None:
        self.run, self.console, self.stop, self.info, self.card = run, console, stop, info, card
        self.found, self.views, self.unreadable = found, views, unreadable
        self.batch_size, self.num_workers, self.amp, self.name = batch_size, num_workers, amp, name
        self.aside = stream.place_of(Path(run.dir))
        self.fingerprint = stream.identity(card, views, found.examples, batch_size)
        self._num_lost = 0

    def make(self, progress: Progress) -> None:
        """Leaves ``submission.csv`` and ``probabilities.npy``."""
        self._tell()
        over = self._over()
        if over is not None:
            self.console.line("PREDICT", f"{SUBMISSION} is whole since an earlier attempt")
            progress(len(self.found.examples), len(self.found.examples))
            if over.get("model_sha256") != self.card.sha256:  # equal members, put together anew
                fields = {key: value for key, value in over.items() if not key.startswith("_")}
                job.event("Predicted", **{**fields, "model_sha256": self.card.sha256})
            return
        codes = self.card.said.get("codes")
        written = form.form_of(
            self.found.sample, self.card.labels, codes if isinstance(codes, list) else None
        )
        for problem in written.problems:
            self._say(problem)
        job.event("PhaseStarted", phase="predict")
        with self._rows() as rows:
            num, time_s = self._predict(rows, progress)
            self._refuse_unreadable(rows)
            ids = (example.id for example in self.found.examples)
            num_unreadable = submission.write(self.aside / SUBMISSION, written, ids, rows.blocks())
            counts = submission.counts(rows.blocks(), self.card.labels)
        self._put()
        self._leave(num, num_unreadable, time_s, counts)

    # ── before ───────────────────────────────────────────────────────────────────────────────

    def _tell(self) -> None:
        card = self.card
        num = len(self.found.examples)
        temperature = "" if card.temperature == 1 else f", temperature {card.temperature:.4g}"
        self.console.line(
            "PREDICT",
            f"{num:,} examples, {len(card.labels):,} classes,"
            f" {counted(len(card.members), 'member')}{temperature}, views {self.views}",
        )
        self.console.line("PREDICT", f"model {card.folder} sha256 {card.sha256[:12]}")
        stops = [problem for problem in self.found.problems if problem.stops]
        for problem in self.found.problems:
            self._say(problem)
        if stops:
            raise UserErrors([problem.error for problem in stops])

    def _say(self, problem: Any) -> None:
        sign = "x" if problem.stops else "!"
        self.console.line("PREDICT", f"{sign} {say(problem.key, **problem.fields)}")
        shown = list(problem.examples[:5])
        for each in shown:
            self.console.line("PREDICT", f"    {each}")
        if shown and problem.num > len(shown):
            self.console.line("PREDICT", f"    … +{problem.num - len(shown):,}")

    def _over(self) -> Mapping[str, Any] | None:
        """What an earlier attempt said that has left all of it, of this model and these inputs."""
        there = all(Path(self.run.at(name)).exists() for name in (SUBMISSION, PROBABILITIES))
        if not there or self.aside.exists():
            return None
        said: Mapping[str, Any] = {}
        for record in Tail(self.run.dir, "job").read():
            if record.get("_event") == "Predicted":
                said = record
        return said if said.get("fingerprint") == self.fingerprint else None

    def _rows(self) -> RowsFile:
        """What is there of the rows, or room for them."""
        if self.aside.exists() and not (self.aside / PROBABILITIES).exists():
            # Killed between the two that are put into their places.
            there = Path(self.run.at(PROBABILITIES))
            if there.exists():
                files.rename(str(there), str(self.aside / PROBABILITIES))
        num, num_classes = len(self.found.examples), len(self.card.labels)
        return RowsFile(self.aside, num, num_classes, self.batch_size, self.fingerprint)

    # ── the pass ─────────────────────────────────────────────────────────────────────────────

    def _predict(self, rows: RowsFile, progress: Progress) -> tuple[int, float]:
        """How many inputs were predicted in this attempt, and in which time, the model loaded."""
        begins = rows.begins()
        if not begins:
            progress(rows.num, rows.num)
            return 0, 0.0
        from overnight.trainer import precision

        device = precision.device()
        arithmetic = precision.precision(self.amp, device)
        num_workers = precision.num_workers(self.num_workers)
        self.console.line(
            "PREDICT",
            f"on {device}: precision {arithmetic}  num_workers {num_workers}"
            f"  batch_size {self.batch_size}",
        )
        done = rows.num - sum(len(rows.batch(begin)) for begin in begins)
        if done:
            self.console.line("PREDICT", f"goes on behind {done:,} that are done")
        predictor = _named(self.info.predictor).load(
            self.card, device=str(device), views=self.views, precision=arithmetic
        )
        begun_s = time.monotonic()
        try:
            num = stream.run(
                predictor,
                self.found.examples,
                rows,
                num_workers=num_workers,
                pin=device.type == "cuda",
                go_on=lambda: self.stop.asked() != "signal",
                progress=self._telling(progress),
                lost=self._lost,
            )
        except stream.Interrupted:
            raise Stopped from None
        return num, time.monotonic() - begun_s

    def _telling(self, progress: Progress) -> Progress:
        told_at, begun_at, begun = time.monotonic(), time.monotonic(), -1

        def tell(done: int, total: int) -> None:
            nonlocal told_at, begun
            begun = done if begun < 0 else begun
            progress(done, total)
            now = time.monotonic()
            if now - told_at > _TELL_EVERY_S and done < total:
                told_at = now
                rate = (done - begun) / (now - begun_at)
                self.console.line("PREDICT", f"{done:,} of {total:,}, {rate:,.1f} a second")

        return tell

    def _lost(self, example: Example) -> None:
        self._num_lost += 1
        if self._num_lost <= _NAMED:
            path = example.inputs.get("image", "")
            self.console.line("PREDICT", f"! {say('predict.lost', id=example.id, path=path)}")

    def _refuse_unreadable(self, rows: RowsFile) -> None:
        """Ends it where an input cannot be read and nobody said what then.

        Its rows stay: put right, only their batches are predicted again.
        """
        if self.unreadable == "default":
            return
        lost = [example.id for example in stream.unreadable_of(rows, self.found.examples)]
        if lost:
            more = f" … (+{len(lost) - _NAMED:,})" if len(lost) > _NAMED else ""
            shown = ", ".join(lost[:_NAMED]) + more
            raise UserErrors(
                [
                    UserError(
                        "predict.unreadable", num=len(lost), all=rows.num, shown=shown,
                        run=self.run.run_id,
                    )
                ]
            )  # fmt: skip

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def _put(self) -> None:
        """Both into their places: whoever is killed in between does it again."""
        for name in (PROBABILITIES, SUBMISSION):
            files.rename(str(self.aside / name), self.run.at(name))

    def _leave(
        self, num: int, num_unreadable: int, time_s: float, counts: Mapping[str, int]
    ) -> None:
        total = len(self.found.examples)
        rate = f", {num / time_s:,.1f} a second" if num and time_s > 0 else ""
        lost = f", {num_unreadable:,} of them unreadable" if num_unreadable else ""
        self.console.line("PREDICT", f"{total:,} predicted in {time_s:.1f} s{rate}{lost}")
        self.console.line("PREDICT", f"as {_shares(counts)}")
        self.console.artifact(SUBMISSION, f"{total:,} rows")
        self.console.artifact(PROBABILITIES, f"{total:,} x {len(self.card.labels):,}")
        values: dict[str, float] = {"num_examples": total, "num_unreadable": num_unreadable}
        if num and time_s > 0:
            values["examples_per_s"] = round(num / time_s, 2)
        RunLedger().metrics(values, scope=Scope(stage="predict"), summary=True)
        media.artifact(
            Path(self.run.at(SUBMISSION)), f"{self.name}-submission", "predictions", ("latest",)
        )
        job.event(
            "Predicted",
            path=SUBMISSION,
            num=total,
            unreadable=num_unreadable,
            model_sha256=self.card.sha256,
            fingerprint=self.fingerprint,
            time_s=round(time_s, 3),
        )
        # Last: from here on nothing of it is left to do.
        shutil.rmtree(self.aside, ignore_errors=True)


def _without_stops(found: ToPredict) -> ToPredict:
    """What is missing counts as unreadable: its row gets the sample's value."""
    problems = [problem for problem in found.problems if not problem.stops]
    return ToPredict(found.examples, found.sample, problems)


def _progress(ledger: RunLedger) -> Progress:
    return lambda done, total: ledger.progress(done, total, unit="image")


def _shares(counts: Mapping[str, int]) -> str:
    """``cat: 310, dog: 201``, the commonest first."""
    ranked: Sequence[tuple[str, int]] = sorted(counts.items(), key=lambda item: -item[1])
    said = [f"{name}: {num:,}" for name, num in ranked[:_CLASSES_NAMED] if num]
    more = sum(num for _, num in ranked[_CLASSES_NAMED:])
    return ", ".join(said) + (f", others: {more:,}" if more else "")


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
