"""How much a run has to do, counted in epochs: before anything is measured, and for its progress.

An epoch is one pass of a fold over its training part, and the evaluation behind it. A trial's and a
fold's are equally long: they see as many examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overnight.trainer.kept import Plan
from overnight.trainer.mean import NUM_PICTURES

if TYPE_CHECKING:
    from overnight.spec import Spec

#: Forward and backward take three times as long as forward alone: twice as many products backward.
TRAIN_TO_EVALUATE = 3.0
#: How often an image is looked at.
_VIEWS = {"none": 1, "flip": 2, "crops": 10}


@dataclass(frozen=True, slots=True)
class Work:
    """What a run was asked for, as far as it takes time.

    Attributes:
        num_trials: 0: nothing is searched for.
        trial_folds: Of each trial.
        trial_epochs: Of each of its folds, at most.
        workers: Trials at a time.
        num_folds: To be trained; 0: the search is all there is.
        epochs: Of each, at most.
        stops_early: Whether a fit may end before its last epoch.
        num_train: Examples a fold trains on.
        num_valid: Examples it is evaluated on.
        num_views: Looks at an image that predicting takes of each member, images x views, and the
            calibration of their mean.
    """

    num_folds: int
    epochs: int
    num_trials: int = 0
    trial_folds: int = 1
    trial_epochs: int = 0
    workers: int = 1
    stops_early: bool = False
    num_train: int = 1
    num_valid: int = 1
    num_views: int = 0

    @classmethod
    def of(cls, spec: Spec, plan: Plan) -> Work:
        """What a spec asks for of the data."""
        train: Any = spec.train
        stages, tuning = spec.stages, spec.tuning
        num, num_parts = len(plan.fold_of), len(set(plan.fold_of))
        num_valid = max(1, num // max(1, num_parts))
        num_test = len(plan.index.unlabelled)
        num_views = num_test * _VIEWS[spec.predict.tta] if "predict" in stages else 0
        if "calibrate" in stages:
            num_views += min(num_test, NUM_PICTURES)
        return cls(
            num_folds=len(plan.scopes) if "train" in stages else 0,
            epochs=train.epochs,
            num_trials=tuning.n_trials if tuning is not None else 0,
            trial_folds=min(tuning.folds, num_parts) if tuning is not None else 1,
            trial_epochs=(tuning.epochs or train.epochs) if tuning is not None else 0,
            workers=tuning.workers if tuning is not None else 1,
            stops_early=train.early_stopping is not None,
            num_train=max(1, num - num_valid),
            num_valid=num_valid,
            num_views=num_views,
        )

    def folds(self, num: int | None = None) -> float:
        """Epochs of ``num`` folds; of all by default."""
        return float((self.num_folds if num is None else num) * self.epochs)

    def predict(self, num: int | None = None) -> float:
        """What predicting with ``num`` members (by default all folds) takes, as so many epochs."""
        looks = self.num_train * TRAIN_TO_EVALUATE + self.num_valid
        return (self.num_folds if num is None else num) * self.num_views / looks

    def evaluation_s(self, epoch_s: float) -> float:
        """What of an epoch is its evaluation, as long as nobody has measured it."""
        return epoch_s * self.num_valid / (self.num_train * TRAIN_TO_EVALUATE + self.num_valid)


def after_search(spec: Spec, plan: Plan) -> float:
    """Epochs that follow the search: of the folds, and of the prediction as so many."""
    work = Work.of(spec, plan)
    return work.folds() + work.predict()
