"""What a log says of trials. The words stay the same in every language, as of all log lines."""

from __future__ import annotations

import json
from collections.abc import Mapping

from overnight.tasks.base import Json
from overnight.tuning.study import Told


def values(tried: Mapping[str, Json]) -> str:
    """``train.lr=0.00031  train.optimizer=adamw``."""
    return "  ".join(f"{name}={_text(value)}" for name, value in tried.items())


def ended(told: Told, metric: str, *, of: int) -> str:
    """``of 20: macro_f1 0.8123, complete, 5 epochs in 12.1 s``."""
    number = "" if told.value is None else f"{metric} {told.value:.4f}, "
    why = f" ({told.why})" if told.why else ""
    plural = "" if told.epochs == 1 else "s"
    took = f", {told.epochs} epoch{plural} in {told.time_s or 0.0:.1f} s"
    return f"of {of}: {number}{told.state}{why}{took}"


def _text(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
