"""Temperature scaling of any arrays: what is fitted, how it is judged, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import overnight
from overnight import calibration
from overnight.calibration import Bin, apply, fit, judge
from overnight.errors import UserError


def told(num: int, num_classes: int, times: float, seed: int = 7) -> tuple[Any, Any]:
    """Logits, and targets drawn from their softmax; the logits then blown up ``times``."""
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(size=(num, num_classes)) * 2
    edges_NK = apply(logits_NK).cumsum(axis=1)
    targets_N = (rng.random((num, 1)) > edges_NK).sum(axis=1).clip(max=num_classes - 1)
    return logits_NK * times, targets_N


def nll(logits_NK: NDArray[Any], targets_N: NDArray[Any], temperature: float) -> float:
    shares_NK = apply(logits_NK, temperature)
    return float(-np.log(shares_NK[np.arange(len(targets_N)), targets_N]).mean())


# ── the numbers ─────────────────────────────────────────────────────────────────────────────


def test_scores_are_those_of_a_hand_made_example() -> None:
    # Confidences 0.9, 0.9, 0.6, 0.6: two bins, [13/15, 14/15) and [9/15, 10/15).
    shares_NK = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    before = judge(np.log(shares_NK), [0, 1, 1, 1]).before
    assert before.accuracy == 0.75
    assert before.ece == pytest.approx(0.5 * abs(0.5 - 0.9) + 0.5 * abs(1.0 - 0.6))
    assert before.mce == pytest.approx(0.4)
    assert before.nll == pytest.approx(-np.log([0.9, 0.1, 0.6, 0.6]).mean())
    assert before.brier == pytest.approx(np.mean([0.02, 1.62, 0.32, 0.32]))
    low, high = before.bins
    assert low == Bin(pytest.approx(9 / 15), pytest.approx(10 / 15), pytest.approx(0.6), 1.0, 2)
    assert high == Bin(pytest.approx(13 / 15), pytest.approx(14 / 15), pytest.approx(0.9), 0.5, 2)


def test_they_are_torchmetrics_and_scikit_learns() -> None:
    from sklearn.metrics import log_loss

    logits_NK, targets_N = told(2_000, 10, 2.0)
    before = judge(logits_NK, targets_N).before
    # torchmetrics 1.9.0, MulticlassCalibrationError(10, n_bins=15, norm="l1" and "max").
    assert before.ece == pytest.approx(0.217107296, abs=1e-6)
    assert before.mce == pytest.approx(0.306285113, abs=1e-6)
    assert before.nll == pytest.approx(log_loss(targets_N, apply(logits_NK)))


def test_a_temperature_that_was_put_in_is_found() -> None:
    logits_NK, targets_N = told(20_000, 5, 2.5)
    temperature = fit(logits_NK, targets_N)
    assert temperature == pytest.approx(2.5, rel=0.03)
    best = nll(logits_NK, targets_N, temperature)
    for other in (temperature * 0.999, temperature * 1.001):
        assert best < nll(logits_NK, targets_N, other)
    assert fit(logits_NK.astype(np.float32), targets_N) == pytest.approx(temperature, rel=1e-6)
    assert fit(logits_NK * 10, targets_N) == pytest.approx(10 * temperature)
    shifted_NK = logits_NK + np.arange(len(logits_NK))[:, None]
    assert fit(shifted_NK, targets_N) == pytest.approx(temperature), "a softmax ignores a constant"
    found = judge(logits_NK, targets_N)
    assert (found.temperature, found.why, found.num_parts) == (temperature, "fitted", 5)
    assert found.before.ece > 0.1 > 0.02 > found.after.ece
    assert found.after.accuracy == found.before.accuracy


def test_a_row_is_judged_by_a_temperature_that_others_asked_for() -> None:
    logits_NK, targets_N = told(600, 4, 2.0)
    folds_N = np.arange(600) % 3
    logits_NK[folds_N == 2] *= 3  # a member that is surer than the others
    found = judge(logits_NK, targets_N, folds_N)
    expected = 0.0
    for fold in range(3):
        own_N = folds_N == fold
        others = fit(logits_NK[~own_N], targets_N[~own_N])
        expected += nll(logits_NK[own_N], targets_N[own_N], others) / 3
    assert found.after.nll == pytest.approx(expected)
    assert found.temperature == fit(logits_NK, targets_N)
    assert found.num_parts == 3


def test_rows_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    logits_NK, targets_N = told(500, 3, 2.0)
    whole = judge(logits_NK, targets_N)
    monkeypatch.setattr(calibration, "_BLOCK", 100)
    parts = judge(logits_NK, targets_N)
    assert parts.numbers() == pytest.approx(whole.numbers())
    assert [each.num for each in parts.after.bins] == [each.num for each in whole.after.bins]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(2, 6), st.floats(0.01, 30), st.integers(0, 10_000))
def test_nll_is_never_worse(num: int, num_classes: int, times: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(size=(num, num_classes)) * times
    targets_N = rng.integers(0, num_classes, num)
    found = judge(logits_NK, targets_N, rng.integers(0, 3, num))
    assert calibration.T_MIN <= found.temperature <= calibration.T_MAX
    assert found.after.nll <= found.before.nll
    assert found.after.accuracy == found.before.accuracy
    assert found.temperature in (1.0, found.fitted)
    assert sum(each.num for each in found.after.bins) == num
    worse = nll(logits_NK, targets_N, found.fitted) - nll(logits_NK, targets_N, 1.0)
    assert worse <= 1e-9, "on the rows it was fitted to"


def test_real_trainings_are_never_worse_and_less_wrong_about_themselves() -> None:
    # Small nets on CIFAR-10: python -m overnight.testing.calibration_proof --record
    recorded = np.load(Path(__file__).parent / "golden" / "cifar10_oof.npz", allow_pickle=False)
    seeds = sorted(name.partition("_")[2] for name in recorded if name.startswith("logits_"))
    assert len(seeds) == 3
    mended = 0
    for seed in seeds:
        found = judge(*(recorded[f"{name}_{seed}"] for name in ("logits", "targets", "folds")))
        assert found.num_parts == 3
        assert found.after.nll <= found.before.nll
        assert found.after.accuracy == found.before.accuracy
        if found.before.ece > 0.05:
            assert found.after.ece < found.before.ece
            mended += 1
    assert mended >= 2


# ── input that has no answer of its own ─────────────────────────────────────────────────────


def test_where_nothing_is_wrong_nothing_is_changed() -> None:
    logits_NK = np.eye(3)[[0, 1, 2, 0]] * 2
    found = judge(logits_NK, [0, 1, 2, 0])
    assert (found.temperature, found.why) == (1.0, "no_mistake")
    assert found.after == found.before
    alike = judge(np.zeros((4, 3)), [0, 1, 2, 0])
    assert (alike.temperature, alike.why) == (1.0, "no_mistake")


def test_where_all_is_wrong_the_answer_is_a_guess() -> None:
    logits_NK = np.eye(3)[[0, 1, 2, 0, 1, 2]] * 5
    assert fit(logits_NK, [1, 2, 0, 1, 2, 0]) == calibration.T_MAX
    found = judge(logits_NK, [1, 2, 0, 1, 2, 0])
    assert found.after.nll == pytest.approx(np.log(3), abs=0.01)
    assert found.after.accuracy == 0


def test_a_single_row_is_too_few() -> None:
    found = judge([[1.0, 3.0]], [0])
    assert (found.temperature, found.why, found.num_parts) == (1.0, "too_few", 1)


def test_what_is_worse_for_other_rows_is_left_alone() -> None:
    # The folds ask for opposite things.
    logits_NK = np.array([[4.0, 0.0]] * 10 + [[0.1, 0.0]] * 10)
    targets_N = np.array([0] * 6 + [1] * 4 + [0] * 9 + [1])
    found = judge(logits_NK, targets_N, [0] * 10 + [1] * 10)
    assert (found.temperature, found.why) == (1.0, "worse")
    assert found.fitted != 1.0
    assert found.after == found.before


def test_huge_logits_are_no_trouble() -> None:
    logits_NK, targets_N = told(100, 3, 1.0)
    assert fit(logits_NK * 1e90, targets_N) == calibration.T_MAX
    assert judge(logits_NK * 1e90, targets_N).after.nll < 1e90


@pytest.mark.parametrize(
    ("logits", "targets", "folds", "key"),
    [
        ([[1.0, np.nan]], [0], None, "not_finite"),
        ([[1.0, 2.0], [np.inf, 0.0]], [0, 1], None, "not_finite"),
        ([[1.0], [2.0]], [0, 0], None, "no_logits"),
        ([1.0, 2.0], [0, 1], None, "no_logits"),
        ([["a", "b"]], [0], None, "no_logits"),
        (np.zeros((0, 3)), [], None, "no_rows"),
        (np.zeros((3, 2)), [0, 1], None, "no_targets"),
        (np.zeros((2, 2)), [[0], [1]], None, "no_targets"),
        (np.zeros((2, 2)), [0, 2], None, "no_classes"),
        (np.zeros((2, 2)), [0, -1], None, "no_classes"),
        (np.zeros((2, 2)), [0, 0.5], None, "no_classes"),
        (np.zeros((2, 2)), [0, np.nan], None, "no_classes"),
        (np.zeros((2, 2)), ["cat", "dog"], None, "no_classes"),
        (np.zeros((2, 2)), [0, 1], [0, 1, 2], "no_folds"),
    ],
)
def test_no_logits_and_targets_are_refused(logits: Any, targets: Any, folds: Any, key: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 the key says which
        judge(logits, targets, folds)
    assert isinstance(refused.value, UserError)
    assert refused.value.key == f"calibrate.{key}"


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_no_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(UserError):
        apply([[1.0, 2.0]], temperature)


def test_it_has_a_public_name() -> None:
    targets = [0.0, 1.0, 1.0, 0.0]  # as many tables have them
    found = overnight.calibrate([[2, 1], [1, 2], [2, 1], [1, 2]], targets)
    assert found.before.accuracy == 0.5
    assert found.fitted == calibration.T_MAX, "a coin would do as well"
    assert apply([2.0, 2.0], found.temperature).tolist() == [0.5, 0.5]


# ── the mean of several members ─────────────────────────────────────────────────────────────


def members_of(num: int, spread: float, seed: int = 3) -> tuple[Any, Any]:
    """Logits ``(M, N, K)`` of members that differ by ``spread``, and the truth."""
    rng = np.random.default_rng(seed)
    shared_NK = rng.normal(size=(4_000, 6)) * 2
    targets_N = (shared_NK + rng.gumbel(size=shared_NK.shape)).argmax(axis=1)
    return shared_NK + spread * rng.normal(size=(num, *shared_NK.shape)), targets_N


@pytest.mark.parametrize(("num", "spread"), [(3, 1.0), (5, 1.0), (5, 3.0)])
def test_the_mean_is_as_sure_as_if_it_had_been_fitted_to_the_truth(num: int, spread: float) -> None:
    logits_MNK, targets_N = members_of(num, spread)
    members = fit(np.concatenate(list(logits_MNK)), np.tile(targets_N, num))
    mean = calibration.fit_mean(logits_MNK, members)
    assert mean is not None
    assert mean < members

    def served(temperature: float) -> float:
        shares_NK = apply(logits_MNK, temperature).mean(axis=0)
        return nll(np.log(shares_NK), targets_N, 1.0)

    best = min(served(members * share) for share in np.linspace(0.1, 1.0, 46))
    assert served(mean) < served(members)
    assert served(mean) - best < 0.2 * (served(members) - best)


def test_members_that_agree_in_everything_are_left_at_their_own_temperature() -> None:
    logits_MNK, _ = members_of(1, 0.0)
    assert calibration.fit_mean(np.repeat(logits_MNK, 3, axis=0), 1.7) == pytest.approx(1.7)


def test_members_that_disagree_more_than_they_are_unsure_have_no_temperature() -> None:
    rng = np.random.default_rng(0)
    assert calibration.fit_mean(rng.normal(size=(5, 500, 10)) * 50, 1.0) is None


@pytest.mark.parametrize("shape", [(3, 4), (0, 3, 2), (3, 0, 2)])
def test_what_is_no_stack_of_logits_has_no_mean(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError):
        calibration.fit_mean(np.zeros(shape), 1.0)
