"""Noise of cameras and scanners: every kind is seen, nothing changes shape, the seed decides."""

from __future__ import annotations

import pytest
import torch

from overnight.tasks.image_classification.augment import ToInput
from overnight.tasks.image_classification.document_noise import KINDS, DocumentNoise
from overnight.tasks.seeded import draws


def page(height: int = 48, width: int = 64) -> torch.Tensor:
    """Lines of something like text on paper."""
    with draws(3):
        ink_HW = torch.rand(height, width) > 0.6
    ink_HW[:, :4] = ink_HW[::3] = False
    return torch.where(ink_HW, 30, 240).to(torch.uint8).expand(3, -1, -1).contiguous()


@pytest.mark.parametrize("size", [(48, 64), (17, 300), (16, 16)])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_pixels_and_nothing_else(kind: str, size: tuple[int, int]) -> None:
    before = page(*size)
    kept = before.clone()
    for seed in range(3):
        with draws(seed):
            after = KINDS[kind](before)
        assert (after.shape, after.dtype) == (before.shape, torch.uint8)
        assert torch.equal(before, kept), "the cache's own picture"
        assert not torch.equal(after, before)


def test_the_same_seed_gives_the_same_noise() -> None:
    noise, picture = DocumentNoise(1.0), page()
    seen = []
    for seed in (*range(12), *range(12)):
        with draws(seed):
            seen.append(noise(picture))
    assert all(torch.equal(*pair) for pair in zip(seen[:12], seen[12:], strict=True))
    assert len({each.numpy().tobytes() for each in seen}) == 12


def test_the_share_is_a_share() -> None:
    picture = page()
    for share, low, high in ((0.0, 0, 0), (0.3, 20, 40), (1.0, 100, 100)):
        noise = DocumentNoise(share)
        with draws(1):
            num = sum(not torch.equal(noise(picture), picture) for _ in range(100))
        assert low <= num <= high


def test_a_training_picture_has_it_and_one_to_judge_by_has_not() -> None:
    def seen(strength: str, noise: float) -> torch.Tensor:
        to_input = ToInput(32, [0.5] * 3, [0.2] * 3, strength, noise)  # type: ignore[arg-type]
        with draws(5):
            return to_input(page())

    for strength in ("none", "basic", "strong"):
        assert seen(strength, 1.0).shape == (3, 32, 32)
        assert torch.equal(seen(strength, 0.0), seen(strength, 0.0))
        assert not torch.equal(seen(strength, 1.0), seen(strength, 0.0))
