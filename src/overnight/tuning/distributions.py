"""The words of W&B's sweeps for how a parameter is drawn: what each takes, and what we cannot draw.

Source: https://docs.wandb.ai/models/sweeps/sweep-config-keys, "Distribution options". An inverse
logarithmic range (``inv_log_uniform``: log(1/X) is drawn evenly) is a logarithmic one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from overnight.yaml_tree import Node

#: A range in our own words, or in W&B's without ``distribution``.
OWN = "a range"
_ENDS = ("min", "max")
#: Word → the keys it needs, and those it may have.
TAKES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    OWN: (_ENDS, ("log", "step")),
    "constant": (("value",), ()),
    "categorical": (("values",), ()),
    "int_uniform": (_ENDS, ()),
    "uniform": (_ENDS, ()),
    "q_uniform": (_ENDS, ("q",)),
    "log_uniform": (_ENDS, ()),
    "log_uniform_values": (_ENDS, ()),
    "q_log_uniform": (_ENDS, ("q",)),
    "q_log_uniform_values": (_ENDS, ("q",)),
    "inv_log_uniform": (_ENDS, ()),
    "inv_log_uniform_values": (_ENDS, ()),
}
#: What no sampler of Optuna's draws: curves without ends, and values with odds.
REFUSED = (
    "normal", "q_normal", "log_normal", "q_log_normal", "beta", "q_beta",
    "categorical_w_probabilities",
)  # fmt: skip
#: Of a normal distribution: 95 % of it lie within so many sigma.
_SIGMAS = 2.0


def word_of(values: Mapping[str, Node]) -> str | None:
    """The distribution of a parameter, named or told by its keys; None where nothing tells it."""
    named = values.get("distribution")
    if named is not None:
        return named.text if named.is_scalar else ""
    told = {
        "probabilities": "categorical_w_probabilities", "values": "categorical",
        "value": "constant", "min": OWN, "max": OWN, "mu": "normal", "sigma": "normal",
        "a": "beta", "b": "beta",
    }  # fmt: skip
    return next((word for key, word in told.items() if key in values), None)


def instead(word: str, values: Mapping[str, Node]) -> str:
    """What to write for a distribution that is refused."""
    if word == "categorical_w_probabilities":
        return "{values: [...]}"
    low, high, name = 0.0, 1.0, "uniform"
    if "normal" in word:
        mu, sigma = _number(values, "mu", 0.0), _number(values, "sigma", 1.0)
        low, high = mu - _SIGMAS * sigma, mu + _SIGMAS * sigma
        if "log" in word and max(abs(low), abs(high)) < math.log(1e300):
            low, high, name = math.exp(low), math.exp(high), "log_uniform_values"
    q = ""
    if word.startswith("q_"):
        name, q = "q_" + name, f", q: {_number(values, 'q', 1.0):g}"
    return f"{{min: {low:.4g}, max: {high:.4g}{q}, distribution: {name}}}"


def _number(values: Mapping[str, Node], key: str, default: float) -> float:
    node = values.get(key)
    return float(node.data()) if node is not None and node.kind in ("int", "float") else default
