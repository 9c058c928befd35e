"""Temperature scaling: probabilities that mean what they say, with the same right answers.

Usable on any arrays, without a run and without torch::

    from overnight.calibration import apply, judge

    found = judge(logits, targets)
    found.temperature, found.before.ece, found.after.ece
    probabilities = apply(others, found.temperature)

A temperature T divides the logits before their softmax (Guo et al. 2017, "On Calibration of Modern
Neural Networks", section 4.2). It is fitted to the negative log likelihood in float64, and judged
by cross-fitting: each row is scaled with a temperature that other rows were asked for.

Shapes: N examples, K classes, B bins of confidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overnight.errors import UserError

Floats: TypeAlias = NDArray[np.float64]
#: Why a temperature is what it is; docs/calibration.md has a line for each.
Why = Literal["fitted", "worse", "no_mistake", "too_few"]

#: What a fit looks between. Networks want 0.5 to 5; cosines, as CLIP has them, 0.01. At either end
#: the answer is as good as certain, or as good as a guess, and further on nothing changes.
T_MIN, T_MAX = 1e-3, 1e3
#: As in Guo et al. 2017, and in torchmetrics.
NUM_BINS = 15
#: A mean is never made sharper than its members by more than this: where it would have to be, they
#: disagree too much for one number.
_SHARPEST = 0.1
#: Rows that name no fold are dealt out to so many parts.
_PARTS = 5
#: Numbers of a block: rows are taken in blocks, so that a memory-mapped file is never held.
_BLOCK = 2**20
#: Larger is no logit: differences would overflow.
_LARGEST = 1e100


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows whose confidence lies in [low, high), in the last bin [low, 1].

    Attributes:
        confidence: Their mean.
        accuracy: How many of them are right, 0 to 1.
        num: How many they are, at least 1.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    num: int


@dataclass(frozen=True, slots=True)
class Scores:
    """How well probabilities keep their word.

    Attributes:
        ece: Expected calibration error: |confidence - accuracy| of the bins, weighed by their rows.
        mce: Maximum calibration error: that of the worst bin.
        nll: Negative log likelihood, mean.
        brier: Squared distance of the probabilities to the truth, summed over the classes (0 to 2),
            mean.
        accuracy: Share of right answers.
        bins: Those that have rows, from the lowest confidence.
    """

    ece: float
    mce: float
    nll: float
    brier: float
    accuracy: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature, and what it does.

    Attributes:
        temperature: What logits are to be divided by; 1.0 where they are best left alone.
        fitted: What all rows together ask for.
        why: ``fitted``; else why 1.0 is kept: ``worse`` (rows that it was not fitted to would be
            predicted worse), ``no_mistake`` (every row is right: nothing says how much doubt is),
            ``too_few`` (a single row cannot be judged).
        before: Of the logits as they are.
        after: Cross-fitted, at ``temperature``; equal to ``before`` where that is 1.0.
        num: Of rows.
        num_parts: Into how many parts they were cut to be judged: folds, or a random split.
    """

    temperature: float
    fitted: float
    why: Why
    before: Scores
    after: Scores
    num: int
    num_parts: int

    def numbers(self) -> dict[str, float]:
        """By their names in docs/metrics.md."""
        said = {"temperature": self.temperature}
        for name in ("ece", "mce", "nll", "brier"):
            said[f"{name}_before"] = getattr(self.before, name)
            said[f"{name}_after"] = getattr(self.after, name)
        return said


def fit(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature under which the targets are likeliest.

    The negative log likelihood is convex in 1/T, so its slope has one root at most; it is looked
    for between ``T_MIN`` and ``T_MAX`` over log T.

    Args:
        logits: ``(N, K)``.
        targets: ``(N,)``: the classes' indices.

    Returns:
        1.0 where every row is right: the likeliest would be a certainty that nothing asks for.
        ``T_MAX`` where the truth is no likelier than the average class.

    Raises:
        UserError: They are no logits and targets; a ValueError.
    """
    logits_NK, targets_N = _checked(logits, targets)
    return _fit(logits_NK, targets_N)


def apply(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """``(N, K)`` or ``(K,)``: softmax of the logits divided by the temperature.

    Raises:
        UserError: The temperature is not above 0.
    """
    if not 0 < temperature < np.inf:
        raise UserError("calibrate.no_temperature", value=temperature)
    shifted = np.asarray(logits, dtype=np.float64)
    powers = np.exp((shifted - shifted.max(axis=-1, keepdims=True)) / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def fit_mean(logits: ArrayLike, temperature: float) -> float | None:
    """The temperature at which the mean of several members is as sure as it should be.

    No row has several members that have not learnt from it, so there are no targets to fit the mean
    to. But it has to believe in each member's answer as much as that member does, who is
    calibrated: both are the chance that the answer is right. At the members' own temperature it
    believes less, since the others disagree; so the result is at most that.

    Args:
        logits: ``(M, N, K)``: of M members, for rows that none of them has learnt from.
        temperature: At which the members are calibrated.

    Returns:
        None where no temperature does: they disagree more than their confidence allows for.

    Raises:
        UserError: They are no finite logits of several members; a ValueError.
    """
    from scipy.optimize import brentq

    logits_MNK = np.asarray(logits, dtype=np.float64)
    if logits_MNK.ndim != 3 or 0 in logits_MNK.shape or not np.isfinite(logits_MNK).all():
        shape = " x ".join(map(str, logits_MNK.shape))
        raise UserError("calibrate.no_logits", shape=shape, dtype=np.asarray(logits).dtype)
    answer_MN = logits_MNK.argmax(axis=2)
    at_N = np.arange(logits_MNK.shape[1])
    wanted = float(np.mean(apply(logits_MNK, temperature).max(axis=2)))

    def lacks(log_t: float) -> float:
        """How much less than it should the mean believes in the members' answers."""
        mean_NK = apply(logits_MNK, float(np.exp(log_t))).mean(axis=0)
        return wanted - float(np.mean([mean_NK[at_N, answer_N] for answer_N in answer_MN]))

    low, high = np.log(temperature * _SHARPEST), np.log(temperature)
    if lacks(high) <= 0:  # they agree in everything
        return temperature
    if lacks(low) > 0:
        return None
    return float(np.exp(brentq(lacks, low, high, xtol=1e-10)))


def judge(
    logits: ArrayLike, targets: ArrayLike, folds: ArrayLike | None = None, *, seed: int = 0
) -> Calibration:
    """Fits a temperature, and says what it does to rows it was not fitted to.

    Args:
        logits: ``(N, K)``, of rows that the model has not learnt from.
        targets: ``(N,)``: the classes' indices.
        folds: ``(N,)``: the fold of each; its rows are scaled with what those of the other folds
            ask for. None, or one fold only: five random parts take their place.
        seed: Of that split.

    Raises:
        UserError: They are no logits, targets and folds; a ValueError.
    """
    logits_NK, targets_N = _checked(logits, targets)
    part_N = _parts(len(targets_N), folds, seed)
    num_parts = int(part_N.max()) + 1
    fitted = _fit(logits_NK, targets_N)
    before = _scores(logits_NK, targets_N, np.ones(len(targets_N)))
    after, why = before, _why_not(logits_NK, targets_N, num_parts)
    if why == "fitted":
        temperature_N = np.empty(len(targets_N))
        for part in range(num_parts):
            rest = np.flatnonzero(part_N != part)
            temperature_N[part_N == part] = _fit(logits_NK[rest], targets_N[rest])
        after = _scores(logits_NK, targets_N, temperature_N)
        if after.nll > before.nll:
            after, why = before, "worse"
    temperature = fitted if why == "fitted" else 1.0
    return Calibration(temperature, fitted, why, before, after, len(targets_N), num_parts)


#: ``overnight.calibrate``: what a person does with it, where ``judge`` is what it does.
calibrate = judge


def _checked(logits: ArrayLike, targets: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    logits_NK, targets_N = np.asarray(logits), np.asarray(targets)
    if logits_NK.ndim != 2 or logits_NK.dtype.kind not in "fiu" or logits_NK.shape[1] < 2:
        shape = " x ".join(map(str, logits_NK.shape))
        raise UserError("calibrate.no_logits", shape=shape, dtype=logits_NK.dtype)
    num, num_classes = logits_NK.shape
    if targets_N.shape != (num,):
        shape = " x ".join(map(str, targets_N.shape))
        raise UserError("calibrate.no_targets", shape=shape, num=num)
    if num == 0:
        raise UserError("calibrate.no_rows")
    whole_N = _whole(targets_N)
    if whole_N is None or whole_N.min() < 0 or whole_N.max() >= num_classes:
        raise UserError("calibrate.no_classes", last=num_classes - 1)
    for begin, block_NK in _blocks(logits_NK):
        bad = np.flatnonzero(~(np.abs(block_NK) < _LARGEST).all(axis=1))
        if len(bad):
            raise UserError("calibrate.not_finite", row=begin + int(bad[0]))
    return logits_NK, whole_N


def _whole(given_N: NDArray[Any]) -> NDArray[np.int64] | None:
    """As integers; None where they are none. Whole floats are: many tables have no others."""
    if given_N.dtype.kind in "iu":
        return given_N.astype(np.int64)
    if given_N.dtype.kind == "f" and bool((given_N == np.floor(given_N)).all()):
        return given_N.astype(np.int64) if bool((np.abs(given_N) < 2**53).all()) else None
    return None


def _parts(num: int, folds: ArrayLike | None, seed: int) -> NDArray[np.int64]:
    """``(N,)``: the part of each row, 0, 1, 2 …, none of them empty."""
    if folds is not None:
        folds_N = np.asarray(folds)
        if folds_N.shape != (num,):
            shape = " x ".join(map(str, folds_N.shape))
            raise UserError("calibrate.no_folds", shape=shape, num=num)
        there, part_N = np.unique(folds_N, return_inverse=True)
        if len(there) > 1:
            return part_N.astype(np.int64)
    return np.random.default_rng(seed).permutation(num) % min(_PARTS, num)


def _why_not(logits_NK: NDArray[Any], targets_N: NDArray[np.int64], num_parts: int) -> Why:
    if num_parts < 2:
        return "too_few"
    return "no_mistake" if _all_right(logits_NK, targets_N) else "fitted"


def _all_right(logits_NK: NDArray[Any], targets_N: NDArray[np.int64]) -> bool:
    at_N = np.arange(len(targets_N))
    return bool((logits_NK[at_N, targets_N] >= logits_NK.max(axis=1)).all())


def _fit(logits_NK: NDArray[Any], targets_N: NDArray[np.int64]) -> float:
    from scipy.optimize import brentq

    if _all_right(logits_NK, targets_N):
        return 1.0

    def slope(log_t: float) -> float:
        """Of the NLL over 1/T: how much larger logits are expected to be than the truth's are."""
        total = 0.0
        for begin, block_NK in _blocks(logits_NK):
            block_NK = block_NK - block_NK.max(axis=1, keepdims=True)
            own_N = targets_N[begin : begin + len(block_NK)]
            powers_NK = np.exp(block_NK / np.exp(log_t))
            expected_N = (powers_NK * block_NK).sum(axis=1) / powers_NK.sum(axis=1)
            total += float((expected_N - block_NK[np.arange(len(own_N)), own_N]).sum())
        return total

    low, high = np.log(T_MIN), np.log(T_MAX)
    if slope(high) >= 0:
        return T_MAX
    if slope(low) <= 0:
        return T_MIN
    return float(np.exp(brentq(slope, low, high, xtol=1e-10)))


def _scores(logits_NK: NDArray[Any], targets_N: NDArray[np.int64], temperature_N: Floats) -> Scores:
    """How good the probabilities are, each row's logits divided by its own temperature."""
    nll, brier = 0.0, 0.0
    num_B, confidence_B, right_B = (np.zeros(NUM_BINS) for _ in range(3))
    # Not NUM_BINS * confidence: 0.6 * 15 is 8.999…, and 0.6 belongs to bin 9.
    edges = np.linspace(0.0, 1.0, NUM_BINS + 1)
    for begin, block_NK in _blocks(logits_NK):
        own = slice(begin, begin + len(block_NK))
        at_N, truth_N = np.arange(len(block_NK)), targets_N[own]
        # Of the logits themselves: scaled ones may round to equal ones.
        chosen_N = block_NK.argmax(axis=1)
        shifted_NK = block_NK - block_NK.max(axis=1, keepdims=True)
        shifted_NK /= temperature_N[own, None]
        powers_NK = np.exp(shifted_NK)
        sum_N = powers_NK.sum(axis=1)
        nll += float((np.log(sum_N) - shifted_NK[at_N, truth_N]).sum())
        share_NK = powers_NK / sum_N[:, None]
        confidence_N = share_NK[at_N, chosen_N]
        share_NK[at_N, truth_N] -= 1.0
        brier += float((share_NK**2).sum())
        bin_N = np.minimum(np.searchsorted(edges, confidence_N, side="right") - 1, NUM_BINS - 1)
        num_B += np.bincount(bin_N, minlength=NUM_BINS)
        confidence_B += np.bincount(bin_N, confidence_N, NUM_BINS)
        right_B += np.bincount(bin_N, chosen_N == truth_N, NUM_BINS)
    num = len(targets_N)
    bins = tuple(
        Bin(edge, edge + 1 / NUM_BINS, sure / there, right / there, int(there))
        for edge, there, sure, right in zip(
            edges.tolist(), num_B.tolist(), confidence_B.tolist(), right_B.tolist(), strict=False
        )
        if there
    )
    gaps = [abs(each.accuracy - each.confidence) for each in bins]
    ece = sum(gap * each.num for gap, each in zip(gaps, bins, strict=True)) / num
    return Scores(ece, max(gaps), nll / num, brier / num, float(right_B.sum()) / num, bins)


def _blocks(logits_NK: NDArray[Any]) -> Iterator[tuple[int, Floats]]:
    """The rows in float64, some at a time, each with the number of its first."""
    step = max(1, _BLOCK // logits_NK.shape[1])
    for begin in range(0, len(logits_NK), step):
        yield begin, np.asarray(logits_NK[begin : begin + step], dtype=np.float64)
