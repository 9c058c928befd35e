"""One finding about a job: data first, the sentence made from it when it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal

from overnight.messages import say
from overnight.preflight.check import Json, Level

#: The catalogue a finding's sentences stand in: ``check`` of a job that is read, ``trial`` of one
#: that is tried, ``outlook`` of a config's training.
Room = Literal["check", "trial", "outlook"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing the job needs.

    Attributes:
        name: What was looked at: ``imports``, ``inputs`` … One name may have several findings.
        level: ``bad`` = the job will fail; ``warn`` = it may; ``unknown`` = it cannot be known
            without running it.
        code: The finding, the same in every language: its sentence is ``<room>.<name>.<code>``,
            the name as a title ``<room>.name.<name>``, the fix ``<room>.<name>.<code>.fix``.
        facts: The figures behind it, for programs. Units end their names.
        fields: What the sentence names; never a secret.
        where: ``train.py:12`` or, in a notebook, ``3:5`` (cell and line); empty for the whole job.
        key: Catalogue key of a sentence that stands elsewhere (a notebook's own findings); empty
            for the usual one.
    """

    name: str
    level: Level
    code: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)
    where: str = ""
    room: Room = "check"
    key: str = ""

    @property
    def title(self) -> str:
        """What was looked at, in the reader's language."""
        match self.room:
            case "check":
                return say(f"check.name.{self.name}")
            case "trial":
                return say(f"trial.name.{self.name}")
            case "outlook":
                return say(f"outlook.name.{self.name}")

    @property
    def text(self) -> str:
        """The finding as a sentence."""
        return say(self._key, **self.fields)

    @property
    def fix(self) -> str:
        """What to do about it; empty where nothing need be done."""
        key = self._key + ".fix"
        table = import_module("overnight.messages." + key.partition(".")[0]).EN
        return say(key, **self.fields) if key in table else ""

    @property
    def _key(self) -> str:
        if self.key:
            return self.key
        match self.room:
            case "check":
                return f"check.{self.name}.{self.code}"
            case "trial":
                return f"trial.{self.name}.{self.code}"
            case "outlook":
                return f"outlook.{self.name}.{self.code}"

    def to_json(self) -> dict[str, Json]:
        """The language-free form."""
        return {
            "name": self.name,
            "level": self.level,
            "code": self.code,
            "where": self.where,
            "facts": dict(self.facts),
        }
