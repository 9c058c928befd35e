"""What a run has left to be done: what was asked for and is not there, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from overnight.alerts.facts import quoted
from overnight.ledger.state import ENDED, Elsewhere, Failed, Lost, Stopped, Unattended
from overnight.messages import say
from overnight.reporting.curves import Fold, calibration
from overnight.reporting.gather import Story


@dataclass(frozen=True, slots=True)
class Command:
    """A line to be typed, and what it does."""

    line: str
    does: str


def undone(story: Story, by_fold: Sequence[Fold]) -> Iterator[str]:
    """What was asked for and is not there, of a run that is over."""
    if not isinstance(story.view.state, ENDED) or not story.setting("task"):
        return
    searches = any(key.partition(".")[0] == "tuning" for key in story.config) and bool(
        story.setting("tuning.n_trials")
    )
    trains = not searches or bool(story.setting("auto_continue"))
    if not trains:
        return
    expected = story.last("Configured").get("folds")
    over = [fold.scope.fold for fold in by_fold if fold.final]
    if isinstance(expected, int) and expected > 1 and len(over) < expected:
        missing = [fold for fold in range(expected) if fold not in over]
        listed = ", ".join(say("report.fold", number=fold) for fold in missing)
        yield say("report.undone_folds", folds=listed)
    if searches and not over and story.trials:
        yield say("report.undone_training")
    if story.setting("calibration") and "temperature" not in calibration(story):
        yield say("report.undone_calibration")
    wants = story.setting("mode") == "full-pipeline" and story.setting("data.image_dir_test")
    if wants and not story.of_job("Predicted"):
        yield say("report.undone_prediction")


def commands(story: Story) -> list[Command]:
    """What one would type next."""
    run = quoted(story.run.run_id)
    found: list[tuple[str, str]] = []
    state = story.view.state
    supervised = story.info.get("supervised") is not False
    has_model = Path(story.run.at("model", "overnight.json")).is_file()
    if isinstance(state, (Failed, Stopped, Lost, Elsewhere, Unattended)) and supervised:
        found.append(("resume", f"overnight resume {run}"))
    if isinstance(state, ENDED):
        best = [each for each in story.of_job("ArtifactSaved") if each.get("kind") == "config"]
        if best and isinstance(best[-1].get("path"), str):
            found.append(("optimized", f"overnight train --config {quoted(best[-1]['path'])}"))
        if has_model:
            found.append(("predict", f"overnight predict --from {run} IMAGES"))
            if "temperature" not in calibration(story):
                found.append(("calibrate", f"overnight calibrate {run}"))
        if Path(story.run.log).is_file():
            found.append(("logs", f"overnight logs {run}"))
        if story.setting("task") and story.run.kind != "infer":
            again = quoted(story.run.config_yaml)
            found.append(("again", f"overnight train --config {again}"))
    else:
        found.append(("status", f"overnight status {run}"))
    return [Command(line, say("report.next_" + key)) for key, line in found]
