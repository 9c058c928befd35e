"""What the options of a training ask for beside its config, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass

from overnight.errors import UserError

_FULL = "full-pipeline"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options; None, False and empty: nothing was said.

    Attributes:
        mode: basic, highperf or full-pipeline; by default full-pipeline with ``optimize`` or
            ``use_calibration``, else what the config says.
        optimize: Search first; without ``auto_continue`` do nothing else.
        n_trials: Of the search; a number, or its text.
        workers: Trials at a time; a number, or its text.
        optuna_config: A file that says what is searched, instead of the config's ``tuning:``.
        use_calibration: Fit a temperature to the out-of-fold logits.
        auto_continue: Train with what the search found.
        skip_training: With ``optimize``: search only. Alone: predict from the newest training.
        until: When all of it has to be over, as a person says it: ``07:00``.
    """

    mode: str | None = None
    optimize: bool = False
    n_trials: int | str | None = None
    workers: int | str | None = None
    optuna_config: str = ""
    use_calibration: bool = False
    auto_continue: bool = False
    skip_training: bool = False
    until: str | None = None

    @property
    def predicts_only(self) -> bool:
        """Whether nothing is trained or searched: the newest training predicts."""
        return self.skip_training and not self.optimize

    def contradictions(self) -> list[UserError]:
        """What cannot be meant together, whatever the config says."""
        if self.skip_training and self.auto_continue:
            return [UserError("train.skip_and_continue", where="--skip-training --auto-continue")]
        if not self.predicts_only:
            return []
        found = []
        if self.use_calibration:
            where = "--skip-training --use-calibration"
            found.append(UserError("train.skip_and_calibrate", where=where))
        for option, value in (
            ("--n-trials", self.n_trials),
            ("--optuna-config", self.optuna_config),
            ("--workers", self.workers),
        ):
            if value:
                where = f"--skip-training {option}"
                found.append(UserError("train.skip_and_search", where=where, option=option))
        if self.until:
            found.append(UserError("train.skip_and_until", where="--skip-training --until"))
        return found

    def flags(self) -> dict[str, tuple[str, str]]:
        """As ``overnight.spec.read`` takes them: key → option, value as YAML."""
        found: dict[str, tuple[str, str]] = {}
        if self.optimize:
            found["tuning"] = ("--optimize", "{}")
        for key, option, value in (
            ("tuning.n_trials", "--n-trials", self.n_trials),
            ("tuning.workers", "--workers", self.workers),
            ("mode", "--mode", self.mode),
        ):
            if value is not None:
                found[key] = (option, _quoted(value) if key == "mode" else str(value))
        if self.mode is None and (self.optimize or self.use_calibration):
            found["mode"] = ("--optimize" if self.optimize else "--use-calibration", _quoted(_FULL))
        if self.use_calibration:
            found["calibration"] = ("--use-calibration", "true")
        if self.auto_continue:
            found["auto_continue"] = ("--auto-continue", "true")
        elif self.optimize and self.skip_training:
            found["auto_continue"] = ("--skip-training", "false")
        if self.until is not None:
            found["until"] = ("--until", _quoted(self.until))
        return found


def _quoted(value: object) -> str:
    """As a text, whatever YAML would make of it."""
    return "'" + str(value).replace("'", "''") + "'"
