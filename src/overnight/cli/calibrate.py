"""``overnight calibrate``: probabilities that mean what they say, for a run or for any arrays."""

from __future__ import annotations

import json as jsons
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from overnight.cli.glance import look
from overnight.cli.output import echo, plain, print_json, table
from overnight.cli.select import complete_run, find
from overnight.errors import RunConflict, UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import ENDED, word
from overnight.messages import say

if TYPE_CHECKING:
    from overnight.calibration import Calibration

LATEST = "latest-train"
_NAMES = ("nll", "ece", "mce", "brier", "accuracy")


def register(app: typer.Typer) -> None:
    """Adds ``calibrate``."""

    @app.command(help=say("calibrate.help"), no_args_is_help=True)
    def calibrate(
        run: Annotated[
            str | None, typer.Argument(help=say("calibrate.run"), autocompletion=complete_run)
        ] = None,
        logits: Annotated[
            Path | None, typer.Option(metavar="L.npy", help=say("calibrate.logits"))
        ] = None,
        targets: Annotated[
            Path | None, typer.Option(metavar="T.npy", help=say("calibrate.targets"))
        ] = None,
        folds: Annotated[
            Path | None, typer.Option(metavar="F.npy", help=say("calibrate.folds"))
        ] = None,
        out: Annotated[Path | None, typer.Option(metavar="FILE", help=say("calibrate.out"))] = None,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        given = {"--logits": logits, "--targets": targets, "--folds": folds, "--out": out}
        problems = list(_contradictions(run, given))
        if problems:
            raise UserErrors(problems)
        _libraries()
        if logits is None or targets is None:
            _of_run(find(run or LATEST, root=root), json=json)
        else:
            _of_files(logits, targets, folds, out, json=json)


def _contradictions(run: str | None, given: dict[str, Path | None]) -> list[UserError]:
    named = [option for option, path in given.items() if path is not None]
    arrays = [option for option in ("--logits", "--targets") if option in named]
    if run is not None and arrays:
        return [UserError("calibrate.which", where=" ".join([run, *named]))]
    if not arrays:
        return [UserError("calibrate.only_files", where=option, option=option) for option in named]
    missing = {"--logits", "--targets"} - set(arrays)
    return [UserError("calibrate.both_files", missing=option) for option in missing]


def _libraries() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("numpy", "scipy") if find_spec(name) is None]
    if missing:
        raise UserError("calibrate.no_library", names=", ".join(missing))


def _of_run(run: RunPaths, *, json: bool) -> None:
    from overnight.outbox import track
    from overnight.start import with_dotenv
    from overnight.trainer.recalibrate import again

    now = look(run)
    if not isinstance(now.state, ENDED):
        state = say(f"state.{word(now.state)}")
        raise RunConflict("calibrate.not_over", where=run.dir, state=state)
    done = again(run, now.attempt)
    if done.changed:
        track.ask(run, with_dotenv(os.environ, run.root), again=True)
    path = os.path.join(run.dir, "model", "overnight.json")
    if json:
        said = _said(done.calibration)
        print_json("calibrate", run_id=run.run_id, path=path, sha256=done.card.sha256,
                   changed=done.changed, **said)  # fmt: skip
        return
    _tell(done.calibration, plain(run.run_id))
    echo(say("calibrate.stored" if done.changed else "calibrate.as_before", path=plain(path)))
    if done.changed and os.path.exists(run.at("submission.csv")):
        echo(say("calibrate.again", run=plain(run.run_id)))
    if done.changed and os.path.exists(run.report):
        echo(say("calibrate.report", run=plain(run.run_id)))
    if not done.pictured:
        echo(say("calibrate.no_picture"))


def _of_files(
    logits: Path, targets: Path, folds: Path | None, out: Path | None, *, json: bool
) -> None:
    from overnight.calibration import judge
    from overnight.trainer.calibrate import load

    problems: list[UserError] = []
    arrays: list[Any] = []
    for path in (logits, targets, folds):
        try:
            arrays.append(None if path is None else load(path))
        except UserError as error:
            problems.append(error)
    if problems:
        raise UserErrors(problems)
    found = judge(*arrays)
    said = _said(found)
    if out is not None:
        text = jsons.dumps(said, indent=1) + "\n"
        files.replace(str(out), text.encode(), mode=0o644)
    if json:
        written = None if out is None else str(out)
        print_json("calibrate", run_id=None, path=written, sha256=None, changed=None, **said)
        return
    _tell(found, plain(logits))
    if out is not None:
        echo(say("calibrate.written", path=plain(out)))


def _said(found: Calibration) -> dict[str, Any]:
    return {
        "temperature": found.temperature,
        "fitted": found.fitted,
        "why": found.why,
        "num": found.num,
        "num_parts": found.num_parts,
        "before": {name: getattr(found.before, name) for name in _NAMES},
        "after": {name: getattr(found.after, name) for name in _NAMES},
    }


def _tell(found: Calibration, source: str) -> None:
    num, fitted = f"{found.num:,}", f"{found.fitted:.4f}"
    if found.why == "fitted":
        echo(say("calibrate.title", temperature=fitted, num=num, source=source))
    else:
        echo(say(f"calibrate.kept_{found.why}", fitted=fitted, num=num))
    echo()
    head = ["", say("calibrate.head_before"), say("calibrate.head_after")]
    columns = (found.before, found.after)
    rows = [[name, *(f"{getattr(each, name):.4f}" for each in columns)] for name in _NAMES]
    for line in table(head, rows, width=None):
        echo("  " + line)
    echo()
    if found.why == "fitted":
        echo(say("calibrate.judged", num=found.num_parts))
