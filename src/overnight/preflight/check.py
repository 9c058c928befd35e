"""One finding about the machine: data first, the sentence made from it when it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from overnight.messages import say
from overnight.messages.doctor import EN

Level = Literal["ok", "warn", "bad", "unknown"]
Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about one thing.

    Attributes:
        name: What was looked at: ``disk``, ``torch`` … One name may have several findings.
        level: ``bad`` = a run will fail or be ended; ``warn`` = it may; ``unknown`` = it could
            not be found out.
        code: The finding, the same in every language: its sentence is ``doctor.<name>.<code>``.
        facts: The figures behind it, for programs. Units end their names.
        fields: What the sentence names.
    """

    name: str
    level: Level
    code: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What was looked at, in the reader's language."""
        return say(f"doctor.name.{self.name}")

    @property
    def text(self) -> str:
        """The finding as a sentence."""
        return say(f"doctor.{self.name}.{self.code}", **self.fields)

    @property
    def fix(self) -> str:
        """What to do about it; empty where nothing need be done."""
        key = f"doctor.{self.name}.{self.code}.fix"
        return say(key, **self.fields) if key in EN else ""

    def to_json(self) -> dict[str, Json]:
        """The language-free form."""
        return {
            "name": self.name,
            "level": self.level,
            "code": self.code,
            "facts": dict(self.facts),
        }
