"""What may be asked of image classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from overnight.tasks import config
from overnight.tasks.base import Json, TaskInfo
from overnight.tasks.config import Part, Train

Format = Literal["csv", "folders", "imagefolder", "cifar10"]


class Data(config.Data):
    """``data:``. Paths are relative to the config's folder."""

    #: csv: a table and a folder. folders: a folder per class. imagefolder: Hugging Face's, with
    #: metadata.csv or metadata.jsonl. cifar10: the batches as they are downloaded. None: guessed.
    format: Format | None = None
    train_csv: Path | None = None
    #: The rows to predict, in their order (a competition's sample_submission.csv).
    sample_csv: Path | None = None
    #: The folder of the images; of the classes' folders; of the batches.
    image_dir_train: Path | None = None
    image_dir_test: Path | None = None
    #: Put behind an ID that has no extension; None: found.
    image_ext: str | None = None
    #: The names competition tables use most.
    id_col: str = "ID"
    target_col: str = "target"
    class_names: tuple[str, ...] | None = None
    #: A table of target and class_name.
    meta_csv: Path | None = None
    folds: int = Field(default=5, ge=2, le=50)
    #: "all": each fold once, and every row gets an out-of-fold prediction.
    valid_fold: Annotated[int, Field(ge=0)] | Literal["all"] = "all"
    stratify: bool = True
    #: Rows of one group stay in one fold.
    group_col: str | None = None
    #: What happens to images that are missing or cannot be read.
    unreadable: Literal["refuse", "quarantine"] = "refuse"
    #: Decoded images are kept in memory where the set fits into a quarter of what is free.
    cache: Literal["auto", "on", "off"] = "auto"

    @property
    def names_test(self) -> bool | None:
        """See ``config.Data``: the other formats may have their test images among them."""
        is_table = self.format == "csv" or (self.format is None and self.train_csv is not None)
        if self.image_dir_test is not None:
            return True
        return False if is_table or self.format == "folders" else None

    def together(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """See ``Part``."""
        if self.format is None and not (self.train_csv or self.image_dir_train):
            yield "image_dir_train", "spec.no_data", {}
        elif self.image_dir_train is None:
            by = f"format: {self.format}" if self.format else "train_csv"
            yield "image_dir_train", "spec.needed", {"by": by}
        if self.format == "csv" and self.train_csv is None:
            yield "train_csv", "spec.needed", {"by": "format: csv"}
        if self.format not in (None, "csv"):
            for key in ("train_csv", *(("group_col",) if self.format != "imagefolder" else ())):
                if getattr(self, key) is not None:
                    yield key, "spec.contradicts", {"by": f"format: {self.format}"}
        if self.sample_csv is not None and self.image_dir_test is None:
            yield "image_dir_test", "spec.needed", {"by": "sample_csv"}
        if self.valid_fold != "all" and self.valid_fold >= self.folds:
            yield "valid_fold", "spec.valid_fold", {"folds": self.folds}
        if self.class_names is not None and len(set(self.class_names)) < len(self.class_names):
            again = next(name for name in self.class_names if self.class_names.count(name) > 1)
            yield "class_names", "spec.class_twice", {"name": again}


class Model(Part):
    """``model:``."""

    #: Of timm. The plain preset's: the best accuracy per second that fits an 8 GB card at 300 px.
    name: str = "efficientnet_b3"
    pretrained: bool = True
    #: A model folder or a safetensors file to start from instead of the hub's weights.
    path: Path | None = None
    #: Of timm (avg, max, avgmax, catavgmax …) or gem, which is ours.
    pooling: str = "avg"
    drop_rate: float = Field(default=0.0, ge=0, lt=1)
    freeze_backbone: bool = False


class ImageTrain(Train):
    """``train:``, with what images need."""

    img_size: int = Field(default=224, ge=16, le=4096)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    #: none: resize only. basic: shift, scale and flip. strong: basic, and RandAugment and erasing.
    augmentation: Literal["none", "basic", "strong"] = "basic"
    #: Share of the pictures that look photographed or scanned: blur, JPEG, rotation, shadow,
    #: perspective, one or two of them.
    document_noise: float = Field(default=0.0, ge=0, le=1)
    #: Alpha of the beta distribution; 0: none.
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)


#: Swin-Base: large, and more accurate than convolutional nets of its size, at the size its windows
#: of 7 were made for (224 px). 32 pictures a step are two batches of 16, for a card of 8 GB:
#: weights, gradients, moments and the average take 1.7 GB, what 16 pictures leave for the way back
#: 2.3 GB in bf16 (counted by the tensors autograd keeps, not on a card). Transformers want a small
#: learning rate and a warm-up on the way to it; averaged weights and mixed pictures pay off over 30
#: epochs, not over 10. The mean over a picture and its mirror image is a little better, at twice
#: the time of a prediction.
_HIGHPERF: Mapping[str, Json] = {
    "data.valid_fold": "all",
    "model.name": "swin_base_patch4_window7_224",
    "train.img_size": 224,
    "train.batch_size": 16,
    "train.accumulate": 2,
    "train.epochs": 30,
    "train.lr": 5e-5,
    "train.warmup": 2,
    "train.ema": 0.999,
    "train.label_smoothing": 0.1,
    "train.augmentation": "strong",
    "train.document_noise": 0.3,
    "train.mixup": 0.2,
    "train.cutmix": 1.0,
    "predict.tta": "flip",
}

INFO = TaskInfo(
    name="image_classification",
    extra="train",
    data=Data,
    model=Model,
    train=ImageTrain,
    engine="hf",
    main_metric="macro_f1",
    greater_is_better=True,
    output="classes",
    can=frozenset(
        {
            "folds",
            "oof",
            "calibrate",
            "tta",
            "ensemble",
            "exact_resume",
            "ddp",
            "tune",
            "train_metrics",
        }
    ),
    reader="overnight.tasks.image_classification.data:Reader",
    task="overnight.tasks.image_classification.task:ImageClassification",
    search_space={
        "train.lr": {"low": 1e-5, "high": 3e-3, "log": True},
        "train.weight_decay": {"low": 1e-4, "high": 0.3, "log": True},
        "train.label_smoothing": {"low": 0.0, "high": 0.2},
        "model.drop_rate": {"low": 0.0, "high": 0.5},
    },
    modes={"basic": {"data.valid_fold": 0}, "highperf": _HIGHPERF, "full-pipeline": {}},
    unless={
        "data.valid_fold": ("data.folds",),
        # The size and the rate go with the model, the rate with the optimizer as well.
        "train.img_size": ("model.name",),
        "train.lr": ("model.name", "train.optimizer"),
        "train.accumulate": ("train.batch_size",),
        # A training that is a few epochs short has no time for two of them; onecycle has its own.
        "train.warmup": ("train.epochs", "train.scheduler"),
    },
    inputs="overnight.tasks.image_classification.inputs:Inputs",
    predictor="overnight.tasks.image_classification.predict:Predictor",
    starter="overnight.tasks.image_classification.starter:Starter",
    weights="overnight.tasks.image_classification.weights:why_not",
)
