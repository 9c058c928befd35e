"""What can be trained: one folder a task, each with the same four files (docs/architecture.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overnight import plugins

if TYPE_CHECKING:
    from overnight.tasks.base import TaskInfo

GROUP = "overnight.tasks"
#: The word in ``task:`` → what says all about it.
ROWS = {"image_classification": "overnight.tasks.image_classification.config:INFO"}


def find(word: str) -> TaskInfo | None:
    """The task of this name; None if nobody has it.

    Raises:
        UserError: A plug-in has this word and cannot be imported.
    """
    found: TaskInfo | None = plugins.find(GROUP, word, ROWS)
    return found
