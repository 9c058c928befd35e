"""The proof that a killed training goes on as if nothing had been: to the last bit.

``python -m overnight.testing.resume_proof --kills 20 --seed 7``. Trainings with everything that
draws at random (augmentation, mixup, cutmix, dropout, two workers), with a moving average and
accumulation, are killed in the middle of an epoch, of an evaluation and of a save, or stopped by
a signal's wish, and resumed. With ``--devices 2`` two processes train together, and either of them
is killed.
Counted: weights that differ from the uninterrupted training's, numbers that do, and steps that an
attempt had to repeat.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from overnight import crashpoint
from overnight.errors import OvernightError
from overnight.ledger.reader import current, rows
from overnight.spec import Spec
from overnight.tasks.base import Example, FitContext
from overnight.tasks.image_classification.task import ImageClassification
from overnight.testing import fits
from overnight.trainer import checkpoints
from overnight.trainer.engine import HfEngine
from overnight.trainer.ledger import RunLedger

assert sys.platform != "win32"

#: Steps between two checkpoints, and steps of an epoch.
INTERVAL, EPOCH = 4, 10
_EPOCHS = 3
_BATCH, _ACCUMULATE, _NUM_VALID = 4, 2, 16
#: So many kills in one training, then another begins.
_KILLS_EACH = 5
_PLACES = (
    "training", "evaluation", "stop", "checkpoint.torn", "checkpoint.unmarked", "checkpoint.whole",
)  # fmt: skip
#: The codes of an attempt that was asked to stop, of one whose other process was killed, and of one
#: that something else was wrong with.
_STOPPED, _LEFT, _BROKEN = 143, 71, 70
#: What no two runs share.
_CLOCKS = ("time_s", "mem_MiB")


class Fragile(ImageClassification):
    """Image classification that dies in the middle of its work.

    Args:
        place: ``training`` or ``evaluation``; any other is armed elsewhere.
        nth: In which batch of that kind.
        rank: In which process.
    """

    def __init__(self, place: str, nth: int, rank: int = 0) -> None:
        super().__init__()
        self._place, self._left, self._rank = place, nth, rank

    def model(self, ctx: FitContext) -> Any:
        """The model, with the fault in it."""
        made = super().model(ctx)

        def die(module: Any, _: Any) -> None:
            if self._place == ("training" if module.training else "evaluation"):
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        if ctx.rank == self._rank:
            made.register_forward_pre_hook(die)
        return made


@dataclass(slots=True)
class Found:
    """What the proof found."""

    kills: Counter[str] = field(default_factory=Counter)
    trainings: int = 0
    differing: list[str] = field(default_factory=list)
    most_repeated: int = 0
    steps_repeated: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing differs and no attempt repeats more than an interval."""
        return not self.differing and self.most_repeated <= INTERVAL


def asked(devices: int = 1) -> Spec:
    """A training in which everything draws."""
    return fits.spec(
        train={
            "epochs": _EPOCHS, "batch_size": _BATCH, "accumulate": _ACCUMULATE, "ema": 0.95,
            "mixup": 0.4, "cutmix": 1.0, "augmentation": "strong", "label_smoothing": 0.1,
            "num_workers": 2, "lr": 3e-3, "log_interval": 1, "devices": devices,
        },
        model={"drop_rate": 0.3},
    )  # fmt: skip


def prove(
    folder: Path, *, kills: int, seed: int, say: Callable[[str], None], devices: int = 1
) -> Found:
    """Kills ``kills`` times.

    Args:
        folder: Where the trainings lie; empty.
        kills: How many.
        seed: Of where and when.
        say: Told of each training.
        devices: How many processes train together.
    """
    rng = random.Random(seed)
    num = EPOCH * _BATCH * _ACCUMULATE * devices + _NUM_VALID
    examples = fits.images(folder / "images", num)
    whole = folder / "uninterrupted"
    _attempt(whole, examples, devices)
    reference = _end_of(whole)
    found = Found()
    while sum(found.kills.values()) < kills:
        found.trainings += 1
        run = folder / f"killed-{found.trainings}"
        num_attempts = 0
        while True:
            place, nth, rank = "", 0, 0
            if num_attempts < _KILLS_EACH and sum(found.kills.values()) < kills:
                place = rng.choice(_PLACES)
                most = {
                    "training": 2 * _ACCUMULATE * EPOCH,
                    "evaluation": 6 // devices,
                    "stop": EPOCH * 2,
                }.get(place, 9)
                nth, rank = rng.randint(1, most), rng.randrange(devices)
            died = _attempt(run, examples, devices, num_attempts, place, nth, rank)
            num_attempts += 1
            if not died:
                break
            found.kills[place] += 1
        _compare(run, reference, found)
        say(f"training {found.trainings}: {num_attempts} attempts")
        shutil.rmtree(run)
    return found


def _attempt(
    run: Path,
    examples: list[Example],
    devices: int,
    attempt: int = 0,
    place: str = "",
    nth: int = 0,
    rank: int = 0,
) -> bool:
    """One attempt in a process of its own; whether it died."""
    (run / "claims").mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid == 0:
        code = _BROKEN
        try:
            os.environ["OVERNIGHT_RUN_DIR"], os.environ["OVERNIGHT_ATTEMPT"] = (
                str(run),
                str(attempt),
            )
            if place in crashpoint.POINTS:
                crashpoint.arm(place, nth)
            ctx = fits.context(
                run / "ckpt" / "fold0",
                examples,
                asked(devices),
                num_valid=_NUM_VALID,
                ledger=RunLedger(),
                stop=fits.StopAt(nth if place == "stop" else None),
            )
            task = Fragile(place, nth, rank)
            result = HfEngine(checkpoint_every_steps=INTERVAL).fit(task, ctx)
            code = _STOPPED if result.ended == "signal" else 0
        except OvernightError as error:
            code = _LEFT if error.key == "engine.rank_died" and "SIGKILL" in error.what else code
            if code == _BROKEN:
                traceback.print_exc()
        except Exception:
            traceback.print_exc()
        finally:
            # Neither the parent's exit handlers nor its buffers are this process's.
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    expected = (0, _STOPPED, _LEFT if rank else -signal.SIGKILL, -signal.SIGKILL)
    if code not in expected:
        raise RuntimeError(f"an attempt ended with {code}")
    return code != 0


def _end_of(run: Path) -> dict[str, object]:
    """All that must be the same: hashes of weights, averages and the best, and every number."""
    folder = run / "ckpt" / "fold0"
    last = checkpoints.newest(folder)
    assert last is not None
    found: dict[str, object] = {
        "step": checkpoints.step_of(last),
        "weights": fits.sha256(last / "model.safetensors"),
        "average": fits.sha256(last / "ema.safetensors"),
        "best": fits.sha256(folder / "best" / "model.safetensors"),
        "logits": fits.sha256(folder / "valid_logits.npy"),
    }
    for row in current(rows(str(run))):
        numbers = {name: value for name, value in row.values.items() if name not in _CLOCKS}
        found[f"{row.kind} {row.step if row.epoch is None else row.epoch}"] = numbers
    return found


def _compare(run: Path, reference: dict[str, object], found: Found) -> None:
    ours = _end_of(run)
    for name in reference.keys() | ours.keys():
        if ours.get(name) != reference.get(name):
            found.differing.append(f"{run.name}: {name}")
    steps: dict[int, list[int]] = {}
    for row in rows(str(run)):
        if row.step is not None:
            steps.setdefault(row.attempt, []).append(row.step)
    last = 0
    for attempt in sorted(steps):
        repeated = last - min(steps[attempt]) + 1 if last else 0
        found.most_repeated = max(found.most_repeated, repeated)
        found.steps_repeated += max(0, repeated)
        last = max(steps[attempt])


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; 1 where it does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--devices", type=int, default=1)
    options = parser.parse_args(arguments)
    # A child of a process whose threads have computed would wait for them for ever.
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="overnight-resume-"))
    begun = time.monotonic()
    try:
        found = prove(
            folder,
            kills=options.kills,
            seed=options.seed,
            say=_say,
            devices=options.devices,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    places = ", ".join(f"{place} {num}" for place, num in sorted(found.kills.items()))
    _say(f"kills                       {sum(found.kills.values())} ({places})")
    _say(f"trainings                   {found.trainings}, {time.monotonic() - begun:.0f} s")
    _say(f"weights or numbers differ   {len(found.differing)}")
    _say(f"steps repeated              {found.steps_repeated}, at most {found.most_repeated}")
    _say(f"steps between checkpoints   {INTERVAL}")
    for line in found.differing[:20]:
        _say("  " + line)
    _say("holds" if found.holds else "DOES NOT HOLD")
    return 0 if found.holds else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # By its name, under which another process finds the task as well.
    from overnight.testing import resume_proof

    raise SystemExit(resume_proof.main())
