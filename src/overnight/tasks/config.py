"""What all tasks' schemas share: frozen, nothing unknown, every default with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


class Part(BaseModel):
    """A part of a spec: frozen, and a key nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    def together(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """What is wrong with values that are right each by itself.

        Yields:
            The key it is told at, its sentence in the catalogue, and what that names.
        """
        yield from ()

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        found = [
            InitErrorDetails(
                type=PydanticCustomError(sentence, sentence, fields),
                loc=(key,),
                input=getattr(self, key),
            )
            for key, sentence, fields in self.together()
        ]
        if found:
            raise ValidationError.from_exception_data(type(self).__name__, found)
        return self


class Data(Part):
    """``data:``, as far as it is the same for all tasks."""

    @property
    def names_test(self) -> bool | None:
        """Whether there is something to predict in it; None: only the data themselves tell."""
        return None


class EarlyStopping(Part):
    """Ends a fit that gets no better."""

    #: Epochs without a new best.
    patience: int = Field(default=5, ge=1)
    #: What counts as better; 0: anything.
    min_delta: float = Field(default=0.0, ge=0)


class Train(Part):
    """``train:``, as far as it is the same for all tasks."""

    #: On each device; a step takes batch_size x accumulate x devices.
    batch_size: int = Field(default=32, ge=1)
    epochs: int = Field(default=10, ge=1)
    #: For AdamW on a pretrained backbone; ten times less than from scratch.
    lr: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    scheduler: Literal["cosine", "linear", "step", "onecycle", "constant"] = "cosine"
    #: Epochs of warm-up (a fraction is one of an epoch). None: half an epoch, none for onecycle.
    warmup: float | None = Field(default=None, ge=0)
    #: auto: bf16 from compute capability 8.0, else fp16, on a GPU; off on a CPU.
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    #: 0 switches it off. 1.0 does no harm where gradients are tame and saves a run where not.
    grad_clip_norm: float = Field(default=1.0, ge=0)
    #: Batches per optimizer step.
    accumulate: int = Field(default=1, ge=1)
    #: Steps between two rows of batch_loss.
    log_interval: int = Field(default=50, ge=1)
    early_stopping: EarlyStopping | None = None
    #: Decay of the weights' moving average; None: none is kept.
    ema: float | None = Field(default=None, gt=0, lt=1)
    #: auto: one less than the cores, at most 8, 0 where there is one.
    num_workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    #: GPUs of this machine that train one model together; auto: all that are visible. One, so that
    #: a config gives the same model on every machine, and no neighbour's card is taken unasked. On
    #: a CPU: processes.
    devices: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = 1
    compile: bool = False
    #: The same numbers on a GPU too, slower; an op that cannot is named.
    deterministic: bool = False
    #: How the gradients' sizes are spread, block by block, each log_interval steps.
    log_gradients: bool = False

    def together(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """See ``Part``."""
        if self.warmup and self.scheduler == "onecycle":
            yield "warmup", "spec.contradicts", {"by": "scheduler: onecycle"}
        elif self.warmup is not None and self.warmup >= self.epochs:
            yield "warmup", "spec.warmup_long", {"epochs": self.epochs}
