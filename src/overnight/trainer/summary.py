"""What a model is made of: its parameters, its layers' shapes, its operations for one example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from overnight.tasks.base import FitContext, Task

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Summary:
    """A model in numbers.

    Attributes:
        name: The class of the module.
        input_shape: Of one example, without the batch.
        num_parameters: All of them.
        num_trainable: Those that learn.
        flops: Of one example forward: a multiplication and an addition are two. None where they
            cannot be counted, and ``why`` says so.
        text: Layer by layer, for people.
    """

    name: str
    input_shape: tuple[int, ...]
    num_parameters: int
    num_trainable: int
    flops: int | None
    why: str
    text: str

    @property
    def line(self) -> str:
        """``resnet18: 11,181,642 parameters (all trainable), input 3x32x32, 0.07 GFLOPs``."""
        trainable = (
            "all" if self.num_trainable == self.num_parameters else f"{self.num_trainable:,}"
        )
        shape = "x".join(map(str, self.input_shape)) or "?"
        flops = f", {self.flops / 1e9:.3g} GFLOPs" if self.flops is not None else ""
        count = f"{self.num_parameters:,} parameters ({trainable} trainable)"
        return f"{self.name}: {count}, input {shape}{flops}"


def of(task: Task, ctx: FitContext) -> Summary:
    """Builds the model once and looks at it; what is drawn at random meanwhile is drawn again."""
    with torch.random.fork_rng(devices=[]):
        model = task.model(ctx)
        example = task.dataset(ctx.train[:1], ctx, augment=False)[0]
        batch = task.collate([example], seed=0, train=False)
    parameters = list(model.parameters())
    main = getattr(model, "main_input_name", None)
    tensors = [value for value in batch.values() if isinstance(value, torch.Tensor)]
    given = batch.get(main) if main is not None else next(iter(tensors), None)
    layers, flops, why = _on_meta(model, batch)
    num = sum(each.numel() for each in parameters)
    num_trainable = sum(each.numel() for each in parameters if each.requires_grad)
    return Summary(
        name=type(model).__name__,
        input_shape=tuple(given.shape[1:]) if isinstance(given, torch.Tensor) else (),
        num_parameters=num,
        num_trainable=num_trainable,
        flops=flops,
        why=why,
        text=_table(model, layers, num, num_trainable, flops),
    )


def _on_meta(
    model: nn.Module, batch: Mapping[str, Any]
) -> tuple[dict[str, tuple[int, ...]], int | None, str]:
    """Each leaf's output shape, and the operations, of one pass without any numbers.

    On the meta device, since on a CPU the counter does not see scaled-dot-product attention.
    """
    meta = torch.device("meta")
    named = [*model.named_parameters(), *model.named_buffers()]
    tensors = {name: torch.empty_like(value, device=meta) for name, value in named}
    inputs = {
        name: torch.empty_like(value, device=meta) if isinstance(value, torch.Tensor) else value
        for name, value in batch.items()
    }
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                shapes[name] = tuple(output.shape[1:])

        return hook

    leaves = [(name, each) for name, each in model.named_modules() if not any(each.children())]
    handles = [each.register_forward_hook(note(name)) for name, each in leaves]
    was_training = model.training
    model.eval()
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), meta, counter:
            functional_call(model, tensors, kwargs=inputs)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        # A model that looks at its numbers has no pass without them; it trains all the same.
        return shapes, None, f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return shapes, counter.get_total_flops(), ""


def _table(
    model: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    num: int,
    num_trainable: int,
    flops: int | None,
) -> str:
    rows = [("layer", "kind", "output", "parameters")]
    for name, each in model.named_modules():
        own = sum(value.numel() for value in each.parameters(recurse=False))
        if name in shapes or own:
            shape = "x".join(map(str, shapes.get(name, ())))
            rows.append((name, type(each).__name__, shape, f"{own:,}" if own else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    counted = f"{flops:,}" if flops is not None else "not countable"
    tail = f"parameters {num:,}, trainable {num_trainable:,}, operations of one example {counted}"
    return "\n".join([*lines, "", tail, "", str(model), ""])
