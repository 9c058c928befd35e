"""The image classifier: pictures to inputs, models by their words, weights from files."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from torch.nn import functional
from transformers import AutoImageProcessor, AutoModelForImageClassification

from overnight.errors import UserError
from overnight.tasks.config import Train
from overnight.tasks.image_classification import model as models
from overnight.tasks.image_classification.augment import Mix, ToInput
from overnight.tasks.image_classification.config import Model
from overnight.tasks.image_classification.task import ImageClassification
from overnight.tasks.seeded import derive, draws
from overnight.testing import fits
from overnight.trainer import schedule as schedules

torch.set_num_threads(1)
LABELS = ("cat", "dog", "ox")
#: A vision transformer takes the one size it was made for.
SIZES = {"test_vit": 160}


def tiny(**changes: object) -> Model:
    return Model(**{"name": fits.TINY, "pretrained": False, **changes})  # type: ignore[arg-type]


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


# ── draws ────────────────────────────────────────────────────────────────────────────────────


def test_a_sample_is_a_function_of_seed_epoch_and_number(tmp_path: Path) -> None:
    examples = fits.images(tmp_path / "images", 14)
    ctx = fits.context(tmp_path, examples, fits.spec(train={"augmentation": "strong"}))
    before = torch.get_rng_state()
    one, two = (ImageClassification().dataset(examples, ctx, augment=True) for _ in range(2))
    for dataset in (one, two):
        dataset.set_epoch(3)
    late = [one[i][0] for i in range(6)]
    assert all(torch.equal(late[i], two[i][0]) for i in (5, 0, 2, 4, 1, 3))
    assert torch.equal(torch.get_rng_state(), before)
    two.set_epoch(4)
    assert not any(torch.equal(late[i], two[i][0]) for i in range(6))
    plain = ImageClassification().dataset(examples, ctx, augment=False)
    assert torch.equal(plain[1][0], plain[1][0])
    assert plain[1][0].shape == (3, 32, 32)


def test_seeds_differ_in_every_part() -> None:
    seeds = {derive(a, b, c) for a in range(4) for b in range(4) for c in range(20)}
    assert len(seeds) == 4 * 4 * 20
    assert derive(1, 23) != derive(12, 3)
    assert min(seeds) >= 0
    assert max(seeds) < 2**63


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_a_batch_is_mixed_by_its_seed(mixup: float, cutmix: float, inputs: torch.Tensor) -> None:
    mix = Mix(mixup, cutmix, 3)

    def mixed(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        with draws(seed):
            return mix(inputs.clone(), torch.tensor([0, 2]))

    assert torch.equal(mixed(1)[0], mixed(1)[0])
    labels = mixed(1)[1]
    assert labels.shape == (2, 3)
    assert torch.allclose(labels.sum(1), torch.ones(2))
    assert any(not torch.equal(mixed(1)[0], mixed(seed)[0]) for seed in range(2, 12))


@pytest.mark.parametrize("strength", ["none", "basic", "strong"])
@pytest.mark.parametrize("shape", [(7, 40), (33, 33), (1, 1)])
def test_any_picture_becomes_an_input(strength: str, shape: tuple[int, int]) -> None:
    to_input = ToInput(24, [0.5] * 3, [0.5] * 3, strength)  # type: ignore[arg-type]
    with draws(1):
        found = to_input(torch.full((3, *shape), 255, dtype=torch.uint8))
    assert found.shape == (3, 24, 24)
    assert found.dtype == torch.float32
    if strength != "strong":
        assert torch.allclose(found, torch.ones(()))


# ── models ───────────────────────────────────────────────────────────────────────────────────


def test_the_weights_are_timms_own(inputs: torch.Tensor) -> None:
    import timm

    torch.manual_seed(3)
    ours = models.build(tiny(), LABELS, 32)
    torch.manual_seed(3)
    theirs = timm.create_model(fits.TINY, num_classes=3)
    assert torch.equal(ours.eval()(inputs).logits, theirs.eval()(inputs))


def test_what_is_saved_opens_with_transformers(tmp_path: Path, inputs: torch.Tensor) -> None:
    model = models.build(tiny(pooling="catavgmax"), LABELS, 32).eval()
    model.save_pretrained(tmp_path)
    opened = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    # Where tensors lie in memory may show in the last bit.
    assert torch.allclose(opened(inputs).logits, model(inputs).logits, atol=1e-6)
    assert opened.config.id2label == dict(enumerate(LABELS))
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    picture = processor(np.zeros((50, 20, 3), np.uint8), return_tensors="pt")["pixel_values"]
    assert picture.shape == (1, 3, 32, 32)
    assert torch.allclose(models.load(tmp_path)(inputs).logits, model(inputs).logits, atol=1e-6)


@pytest.mark.parametrize("name", [fits.TINY, "test_efficientnet", "test_convnext"])
def test_gem_is_learned_and_comes_back(name: str, tmp_path: Path, inputs: torch.Tensor) -> None:
    model = models.build(tiny(name=name, pooling="gem"), LABELS, 32).eval()
    (pool,) = [each for each in model.modules() if isinstance(each, models.Gem)]
    model(inputs, labels=torch.tensor([0, 1])).loss.backward()
    assert pool.p.grad is not None
    with torch.no_grad():
        pool.p.fill_(1.0)
    model.save_pretrained(tmp_path)
    opened = models.load(tmp_path)
    assert torch.allclose(opened(inputs).logits, model(inputs).logits, atol=1e-6)


def test_gem_lies_between_mean_and_maximum() -> None:
    maps = torch.rand(2, 5, 4, 4)
    pool = models.Gem(flatten=True, dims=(2, 3))
    for exponent, expected in ((1.0, maps.mean((2, 3))), (200.0, maps.amax((2, 3)))):
        with torch.no_grad():
            pool.p.fill_(exponent)
        assert torch.allclose(pool(maps), expected, atol=0.02)


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"name": "test_vit", "pooling": "gem"}, "model.pooling", "avg, max, avgmax, token, map"),
        ({"pooling": "token"}, "model.pooling", "avg, max, avgmax, catavgmax, gem"),
        ({"name": "test_resnett"}, "model.name", "model.name: test_resnet"),
        ({"path": Path("/nowhere/x.safetensors")}, "model.path", "a .safetensors file"),
    ],
)
def test_what_cannot_be_built_says_what_can(
    changes: dict[str, object], where: str, said: str
) -> None:
    with pytest.raises(UserError) as refused:
        models.build(tiny(**changes), LABELS, 32)
    assert where in refused.value.where
    assert said in refused.value.fix


def test_without_a_network_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as refused:
        models.build(tiny(pretrained=True), LABELS, 32)
    assert "model.path" in refused.value.fix
    assert "model.pretrained: false" in refused.value.fix


def test_weights_come_from_a_folder_or_a_file(tmp_path: Path, inputs: torch.Tensor) -> None:
    source = models.build(tiny(), LABELS, 32).eval()
    source.save_pretrained(tmp_path / "one")
    plain = tmp_path / "plain.safetensors"
    safetensors.torch.save_file(source.timm_model.state_dict(), plain)
    for path in (tmp_path, tmp_path / "one", plain):
        same = models.build(tiny(path=path, pretrained=True), LABELS, 32).eval()
        assert torch.allclose(same(inputs).logits, source(inputs).logits, atol=1e-6)
    # Other classes: the backbone is taken, the head is new.
    other = models.build(tiny(path=plain), (*LABELS, "yak"), 32).eval()
    assert other(inputs).logits.shape == (2, 4)
    taken, given = (each.timm_model.conv1[0].weight for each in (other, source))
    assert torch.equal(taken, given)
    with pytest.raises(UserError, match="these are not weights of test_convnext"):
        models.build(tiny(name="test_convnext", path=plain), LABELS, 32)
    pickled = tmp_path / "weights.pt"
    torch.save(source.state_dict(), pickled)
    with pytest.raises(UserError, match="may run code"):
        models.build(tiny(path=pickled), LABELS, 32)
    plain.write_bytes(plain.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be read"):
        models.build(tiny(path=plain), LABELS, 32)


def test_a_frozen_backbone_stands_still(inputs: torch.Tensor) -> None:
    model = models.build(tiny(freeze_backbone=True, pooling="gem"), LABELS, 32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learns = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learns, lr=1.0)
    model.train()
    model(inputs, labels=torch.tensor([0, 1])).loss.backward()
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert moved
    assert all(name.split(".")[1] in ("fc", "global_pool") for name in moved)


def test_smoothing_is_the_trainings_alone(inputs: torch.Tensor) -> None:
    model = models.build(tiny(), LABELS, 32)
    labels = torch.tensor([0, 1])
    model.label_smoothing = 0.3
    model.eval()
    logits = model(inputs).logits
    assert torch.equal(
        model(inputs, labels=labels).loss, torch.nn.functional.cross_entropy(logits, labels)
    )


def test_weights_of_the_hub_come_from_its_cache_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError) as refused:
        models.build(tiny(pretrained=True), LABELS, 32)
    assert "HF_HUB_OFFLINE is set" in refused.value.what
    assert "model.pretrained: false" in refused.value.fix
    # A small checkpoint as the hub's client leaves it.
    hub = tmp_path / ("models--" + timm.get_pretrained_cfg(fits.TINY).hf_hub_id.replace("/", "--"))
    (hub / "refs").mkdir(parents=True)
    (hub / "refs" / "main").write_text("49ab")
    (hub / "snapshots" / "49ab").mkdir(parents=True)
    torch.manual_seed(1)
    published = timm.create_model(fits.TINY).state_dict()
    safetensors.torch.save_file(published, hub / "snapshots" / "49ab" / "model.safetensors")
    torch.manual_seed(2)
    own = models.build(tiny(pretrained=True), LABELS, 32).timm_model.state_dict()
    same = {name for name, tensor in own.items() if torch.equal(tensor, published[name])}
    assert set(own) - same == {"fc.weight", "fc.bias"}, "all but the head, which is of 3 classes"


@pytest.mark.parametrize("optimizer", get_args(Train.model_fields["optimizer"].annotation))
@pytest.mark.parametrize("scheduler", get_args(Train.model_fields["scheduler"].annotation))
def test_every_optimizer_and_schedule_trains_a_step(
    optimizer: str, scheduler: str, inputs: torch.Tensor
) -> None:
    steps(models.build(tiny(), LABELS, 32), inputs, optimizer=optimizer, scheduler=scheduler)


@pytest.mark.parametrize(
    ("name", "pooling"),
    [
        *((fits.TINY, pooling) for pooling in ("avg", "max", "avgmax", "catavgmax", "gem")),
        *(("test_vit", pooling) for pooling in ("avg", "max", "avgmax", "token", "map")),
    ],
)
def test_every_pooling_trains_a_step(name: str, pooling: str, inputs: torch.Tensor) -> None:
    model = models.build(tiny(name=name, pooling=pooling), LABELS, SIZES.get(name, 32))
    steps(model, functional.interpolate(inputs, SIZES.get(name, 32)))


def steps(model: models.Classifier, inputs: torch.Tensor, **asked: object) -> None:
    """Two steps as the engine makes them; the head and most other parts have learnt."""
    train = Train(lr=0.01, weight_decay=0, epochs=2, warmup=0, **asked)  # type: ignore[arg-type]
    kind, arguments = schedules.optimizer(train)
    made = kind(model.parameters(), **arguments)
    goes = schedules.schedule(made, train, 4, 2)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    labels = torch.tensor([0, 2])
    for _ in range(2):
        loss = model(inputs, labels).loss
        loss.backward()
        made.step()
        made.zero_grad()
        goes.step()
        assert torch.isfinite(loss)
    head = {f"timm_model.{name}" for name in ("fc.weight", "fc.bias", "head.weight", "head.bias")}
    changed = {name for name, tensor in model.named_parameters() if (tensor != before[name]).any()}
    assert changed & head
    assert len(changed) > len(before) / 2
