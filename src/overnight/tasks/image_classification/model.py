"""The classifier: a backbone of timm's, a pooling, a linear head, in transformers' clothes.

What is saved opens with ``AutoModelForImageClassification.from_pretrained`` like any model of the
hub's. Only our own pooling has a type of its own, since nobody else could build it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import safetensors.torch
import timm
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from timm.layers import SelectAdaptivePool2d
from torch import nn
from torch.nn import functional
from transformers import TimmWrapperConfig, TimmWrapperForImageClassification
from transformers.modeling_outputs import ImageClassifierOutput

from overnight.errors import UserError
from overnight.plugins import nearest
from overnight.preflight import hub
from overnight.tasks.image_classification import weights
from overnight.tasks.image_classification.config import Model

GEM = "gem"
#: All of timm's; which of them a backbone can take, its constructor says.
_POOLINGS = ("avg", "max", "avgmax", "catavgmax", "token", "map")
_PREFIX = "timm_model."
_NUM_NAMED = 5
#: As timm looks for them on the hub, in its order.
_FILES = ("model.safetensors", "pytorch_model.bin")


class Gem(SelectAdaptivePool2d):  # type: ignore[misc]
    """Generalised mean pooling with a learned exponent (Radenović et al. 2018, eq. 3).

    1 is the mean, infinity the maximum; 3 is where the paper begins.
    """

    def __init__(self, flatten: bool, dims: tuple[int, int]) -> None:
        super().__init__(pool_type="avg", flatten=flatten)
        self.pool_type, self._dims, self._keep = GEM, dims, not flatten
        self.p = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools over height and width; in float32, since powers of halves overflow."""
        with torch.autocast(x.device.type, enabled=False):
            powers = x.float().clamp(min=1e-6).pow(self.p)
            return powers.mean(self._dims, keepdim=self._keep).pow(1 / self.p).to(x.dtype)


class GemConfig(TimmWrapperConfig):  # type: ignore[misc]
    """A timm model whose pooling is :class:`Gem`."""

    model_type = "overnight_timm_gem"


class Classifier(TimmWrapperForImageClassification):  # type: ignore[misc]
    """timm's model as it is, its own initial weights included, and the loss of our trainings.

    Args:
        config: Its configuration.
        network: timm's model where it is there already; else one is made without weights.
    """

    def __init__(self, config: TimmWrapperConfig, network: nn.Module | None = None) -> None:
        super(TimmWrapperForImageClassification, self).__init__(config)
        self.timm_model = network if network is not None else _network(config)
        self.num_labels = config.num_labels
        #: Of the training; in an evaluation the loss is the plain one.
        self.label_smoothing = 0.0
        self.is_frozen = False
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: timm has initialised them, and one rule for all layers would undo that."""

    def freeze(self) -> None:
        """Only the head goes on learning; the backbone's running statistics stand still as well."""
        self.is_frozen = True
        head = {id(parameter) for part in self._head() for parameter in part.parameters()}
        for parameter in self.parameters():
            parameter.requires_grad_(id(parameter) in head)
        self.train(self.training)

    def train(self, mode: bool = True) -> Classifier:
        """As always, but a frozen backbone stays as it predicts."""
        super().train(mode)
        if mode and getattr(self, "is_frozen", False):
            self.timm_model.eval()
            for part in self._head():
                part.train()
        return self

    def _head(self) -> list[nn.Module]:
        pools = [module for module in self.timm_model.modules() if isinstance(module, Gem)]
        head = self.timm_model.get_classifier()
        return [*pools, *(head if isinstance(head, (list, tuple)) else [head])]

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None
    ) -> ImageClassifierOutput:
        """Logits ``(N, K)``, and the loss where there are labels: ``(N,)``, or shares."""
        logits_NK = self.timm_model(pixel_values)
        loss = None
        if labels is not None:
            smoothing = self.label_smoothing if self.training else 0.0
            loss = functional.cross_entropy(logits_NK.float(), labels, label_smoothing=smoothing)
        return ImageClassifierOutput(loss=loss, logits=logits_NK)


def build(asked: Model, labels: tuple[str, ...], size_px: int) -> Classifier:
    """The model to train.

    Raises:
        UserError: timm has no such model, the pooling is impossible for it, or there are no weights
            to begin with.
    """
    check(asked)
    network_args: dict[str, Any] = {"drop_rate": asked.drop_rate}
    if asked.pooling != GEM:
        network_args["global_pool"] = asked.pooling
    config_type = GemConfig if asked.pooling == GEM else TimmWrapperConfig
    config = config_type(
        architecture=asked.name,
        model_args=network_args,
        id2label=dict(enumerate(labels)),
        label2id={name: index for index, name in enumerate(labels)},
        pretrained_cfg=input_of(asked.name, size_px),
    )
    wants_hub = asked.pretrained and asked.path is None
    model = Classifier(config, _network(config, pretrained=wants_hub))
    if asked.path is not None:
        _start_from(model, asked.path)
    if asked.freeze_backbone:
        model.freeze()
    return model


def check(asked: Model) -> None:
    """Whether there is such a model with such a pooling, found out without its weights.

    Raises:
        UserError: There is not; it names what there is.
    """
    if not timm.is_model(asked.name):
        near = nearest(asked.name, timm.list_models())
        key = "engine.unknown_model_near" if near else "engine.unknown_model"
        raise UserError(key, where="model.name", name=asked.name, near=near)
    if asked.pooling == GEM:
        possible = _has_pool(_try(asked.name, None))
    else:
        possible = _try(asked.name, asked.pooling) is not None
    if not possible:
        names = [name for name in _POOLINGS if _try(asked.name, name) is not None]
        names += [GEM] if _has_pool(_try(asked.name, None)) else []
        raise UserError(
            "engine.pooling",
            where="model.pooling",
            pooling=asked.pooling,
            name=asked.name,
            possible=", ".join(names),
        )
    if asked.pretrained and asked.path is None and not _weights_of(asked.name):
        raise UserError("engine.never_pretrained", where="model.pretrained", name=asked.name)


def input_of(name: str, size_px: int) -> dict[str, Any]:
    """What a model of this name takes, in timm's words: its image processors read them."""
    known = timm.get_pretrained_cfg(name)
    return {
        "input_size": [3, size_px, size_px],
        "mean": list(known.mean) if known else [0.485, 0.456, 0.406],
        "std": list(known.std) if known else [0.229, 0.224, 0.225],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }


def load(folder: Path) -> Classifier:
    """The model of a folder that ``save_pretrained`` wrote, to predict with.

    Raises:
        OSError: It is not there, or not whole.
        UserError: Its configuration asks timm for other files, which might be pickles.
    """
    text = (folder / "config.json").read_text(encoding="utf-8")
    config_type = GemConfig if GemConfig.model_type in text else TimmWrapperConfig
    config = config_type.from_pretrained(folder)
    foreign = {"checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"}
    if ":" in str(config.architecture) or foreign & set(config.model_args or {}):
        raise UserError("model.odd_key", where=folder / "config.json", name="architecture")
    model = Classifier(config, _network(config))
    safetensors.torch.load_model(model, str(folder / "model.safetensors"))
    model.eval()
    return model


def _network(config: TimmWrapperConfig, *, pretrained: bool = False) -> nn.Module:
    name = config.architecture
    arguments = {**(config.model_args or {}), "num_classes": config.num_labels}
    if pretrained:
        arguments["pretrained_cfg_overlay"] = _where_from(name)
    try:
        network = timm.create_model(name, pretrained=pretrained, **arguments)
    except (OSError, httpx.HTTPError) as error:
        if not pretrained:
            raise
        why = str(_first_cause(error)).partition("\n")[0][:200]
        raise weights.no_weights(name, why) from error
    if isinstance(config, GemConfig):
        _put_gem(network)
    made: nn.Module = network
    return made


def _where_from(name: str) -> dict[str, str]:
    """What timm is to know beside the model's name: the file, where the hub's is here already.

    With it nobody asks the hub, so that all folds begin from the same weights, network or none.

    Raises:
        UserError: It is not here, and the hub cannot be reached.
    """
    known = timm.get_pretrained_cfg(name)
    if known is None or not known.hf_hub_id or known.custom_load:
        return {}
    repository, _, revision = known.hf_hub_id.partition("@")
    files = [known.hf_hub_filename] if known.hf_hub_filename else _FILES
    for file in files:
        path = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(path, str):
            return {"file": path}
    if why := hub.unreachable(os.environ):
        raise weights.no_weights(name, why)
    return {}


def _first_cause(error: BaseException) -> BaseException:
    """``Name or service not known``, under all that libraries say of what they were doing."""
    below = error.__cause__ or error.__context__
    return error if below is None else _first_cause(below)


def _weights_of(name: str) -> bool:
    known = timm.get_pretrained_cfg(name)
    return known is not None and bool(known.hf_hub_id or known.url or known.file)


def _try(name: str, pooling: str | None) -> nn.Module | None:
    """The model without its weights' memory; None where the pooling is none for it."""
    arguments = {} if pooling is None else {"global_pool": pooling}
    try:
        with torch.device("meta"):
            network: nn.Module = timm.create_model(name, pretrained=False, **arguments)
    except (AssertionError, ValueError, RuntimeError, KeyError, TypeError, AttributeError):
        # Each family of timm's refuses in its own way.
        return None
    return network


def _pools(network: nn.Module) -> list[tuple[nn.Module, str, SelectAdaptivePool2d]]:
    found = []
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, SelectAdaptivePool2d) and not child.is_identity():
                found.append((parent, name, child))
    return found


def _has_pool(network: nn.Module | None) -> bool:
    return network is not None and len(_pools(network)) == 1


def _put_gem(network: nn.Module) -> None:
    ((parent, name, pool),) = _pools(network)
    # NHWC backbones (Swin and its kind) pool with a module that knows its dims.
    dims = tuple(getattr(pool.pool, "dim", (2, 3)))
    flatten = isinstance(pool.flatten, nn.Flatten) or bool(getattr(pool.pool, "flatten", False))
    setattr(parent, name, Gem(flatten, (dims[0], dims[1])))


def _start_from(model: Classifier, path: Path) -> None:
    """Takes the weights of a folder or a safetensors file; a head of other classes is left."""
    tensors = _read(path)
    own: Mapping[str, torch.Tensor] = model.state_dict()
    given = {_own_name(name): tensor for name, tensor in tensors.items()}
    head = {
        f"{_PREFIX}{name}.{part}"
        for name, module in model.timm_model.named_modules()
        if any(module is one for one in model._head())
        for part, _ in module.named_parameters()
    }
    unfit = [
        name
        for name, tensor in own.items()
        if name not in head and (name not in given or given[name].shape != tensor.shape)
    ]
    if unfit:
        named = ", ".join(name.removeprefix(_PREFIX) for name in unfit[:_NUM_NAMED])
        raise UserError(
            "engine.other_model",
            where=path,
            name=model.config.architecture,
            num=len(unfit),
            total=len(own),
            names=named,
        )
    fits = {
        name: tensor
        for name, tensor in given.items()
        if name in own and own[name].shape == tensor.shape
    }
    model.load_state_dict(fits, strict=False)


def _read(path: Path) -> dict[str, torch.Tensor]:
    file = path
    if not path.exists():
        raise UserError("engine.path_missing", where="model.path", path=path)
    if path.is_dir():
        files = sorted([*path.glob("*.safetensors"), *path.glob("*/*.safetensors")])
        if not files:
            raise UserError("engine.path_empty", where="model.path", path=path)
        file = files[0]
    elif path.suffix != ".safetensors":
        raise UserError("engine.path_unsafe", where="model.path", path=path)
    try:
        tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError("engine.path_broken", where="model.path", path=file, why=error) from error
    return tensors


def _own_name(name: str) -> str:
    return name if name.startswith(_PREFIX) else _PREFIX + name
