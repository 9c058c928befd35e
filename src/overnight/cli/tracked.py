"""How far a run's records have come, in a line of ``status`` and in its JSON."""

from __future__ import annotations

from dataclasses import asdict

from overnight.cli.output import plain
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.outbox.standing import Standing, standing

_MOST_CHARS = 400


def tracked_by(run: RunPaths) -> str:
    """The trackers of a run, and what keeps its records from getting there."""
    return ", ".join(map(_told, standing(run)))


def _told(each: Standing) -> str:
    if each.trouble:
        why = ". ".join(filter(None, (each.trouble, each.fix)))
        return say("track.standing_trouble", tracker=each.tracker, left=each.left,
                   why=plain(why, _MOST_CHARS))  # fmt: skip
    key = "track.standing_all" if each.closed else "track.standing_left"
    return say(key, tracker=each.tracker, sent=each.sent, left=each.left)


def to_json(run: RunPaths) -> list[dict[str, object]]:
    """The same for programs."""
    return [asdict(each) for each in standing(run)]
