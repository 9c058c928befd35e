"""A trial run of ``overnight check`` is nobody's news."""

from __future__ import annotations

import os


def is_trial() -> bool:
    """Whether this program is only being tried."""
    return os.environ.get("OVERNIGHT_TRIAL") == "1"
