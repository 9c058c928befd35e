"""``${VAR}`` in a config: resolved when it is read, left as it is where it is written down."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

#: ``$${`` is how a text holds ``${`` itself.
_PLACE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class VariableError(ValueError):
    """A variable that cannot be resolved.

    Args:
        key: The sentence that says why.
        name: What stands between the braces.
    """

    def __init__(self, key: str, name: str) -> None:
        super().__init__(name)
        self.key = key
        self.name = name


def resolve(text: str, env: Mapping[str, str]) -> str:
    """``text`` with its variables' values.

    Raises:
        VariableError: One is not set, or its name cannot be one.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "${"
        if not _NAME.fullmatch(name):
            raise VariableError("spec.variable_form", name)
        if name not in env:
            raise VariableError("spec.variable_unset", name)
        return env[name]

    return _PLACE.sub(value, text)


def names(text: str) -> Iterator[str]:
    """The variables a text names."""
    return (match[1] for match in _PLACE.finditer(text) if match[1] is not None)


def literal(text: str) -> str:
    """How a text is written so that nothing in it is resolved."""
    return text.replace("${", "$${")
