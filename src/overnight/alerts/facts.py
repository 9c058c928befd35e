"""Everything a message may say of a run, gathered from its folder, as JSON values.

docs/notifications.md lists the facts. What is missing or damaged is absent; nothing raises.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from overnight.alerts import names
from overnight.alerts.history import all_rows, epoch_rows
from overnight.alerts.known import as_number
from overnight.alerts.spoken import mib
from overnight.alerts.trim import line
from overnight.errors import LedgerError
from overnight.ledger.files import read_json
from overnight.ledger.format import Row, spell, time_us
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import (
    Failed,
    Finished,
    Lost,
    Restarting,
    Running,
    Stalled,
    Stopping,
    Unattended,
    View,
)

_BARE_WORD = re.compile(r"[\w@%+:,./][\w@%+=:,./-]*")
_CARD = re.compile(r"gpu(\d{1,3})_")
#: More cards than this are a farm: their average says more than a list.
_CARDS_AT_MOST = 4
#: Numbers of one batch: their lowest is a lucky batch, no best.
_OF_A_BATCH = frozenset({"train_loss", "batch_loss", "train_accuracy", "train_macro_f1"})


def facts_of(run: RunPaths, view: View, *, now_us: int) -> dict[str, Any]:
    """What is known of a run.

    Args:
        run: Its folder.
        view: What state it is in.
        now_us: The moment of what is told, in microseconds since 1970-01-01 UTC.

    Returns:
        Fact → JSON value. Texts are on one line and hold no secrets.
    """
    info, status, events = _json(run.run_json), _json(run.status_json), _events(run)
    # Between two attempts the last word is the one before's.
    told_of = (view.attempt, view.attempt - isinstance(view.state, Restarting))
    if status.get("attempt") not in told_of:
        status = {}
    updated_us = time_us(status.get("updated_us"))
    age_s = 0.0 if updated_us is None else max(0.0, (now_us - updated_us) / 1e6)
    moving = isinstance(view.state, (Running, Stalled, Stopping, Unattended))
    facts: dict[str, Any] = {
        "run": run.run_id,
        "name": _text(info.get("name")) or run.run_id,
        "host": _text(info.get("host")),
        "kind": run.kind,
        "target": _text(info.get("target")),
        "attempt": view.attempt,
        "now_us": now_us,
        "duration_s": _duration_s(events, view, status, age_s if moving else None),
        "gpu": _cards(status.get("sample")) if moving else "",
        "log": run.log if os.path.exists(run.log) else "",
    }
    if info.get("supervised") is False:
        facts["own"] = True
    else:
        facts["resume"] = "overnight resume " + quoted(run.run_id)
    facts.update(_progress(status.get("estimate"), age_s if moving else None))
    facts.update(_numbers(run, status, facts))
    facts.update(_ending(view, events))
    known = {key: value for key, value in facts.items() if value not in (None, "", {})}
    found: dict[str, Any] = spell(known)
    return found


def _json(path: str) -> Mapping[str, Any]:
    try:
        return read_json(path) or {}
    except OSError:
        return {}


def _events(run: RunPaths) -> list[dict[str, Any]]:
    with contextlib.suppress(OSError, LedgerError):
        return read(run.dir, "events").records
    return []


def _text(value: object, limit: int = 200) -> str:
    return line(value, limit) if isinstance(value, str) else ""


def quoted(word: str) -> str:
    """``word`` as one would type it into a shell; Hangul needs no quotes there."""
    return word if _BARE_WORD.fullmatch(word) else shlex.quote(word)


def _duration_s(
    events: list[dict[str, Any]], view: View, status: Mapping[str, Any], age_s: float | None
) -> float | None:
    """Seconds the job has been at work, all its attempts together."""
    spent = {}
    for record in events:
        ran_s = as_number(record.get("ran_s"))
        if record.get("_event") == "Exited" and ran_s is not None:
            spent[str(record.get("_attempt"))] = ran_s
    if age_s is not None:
        elapsed_s = as_number(status.get("elapsed_s"))
        if elapsed_s is not None:
            spent[str(view.attempt)] = elapsed_s + age_s
    elif view.ran_s is not None:
        spent[str(view.attempt)] = view.ran_s
    return round(sum(spent.values()), 1) if spent else None


def _progress(said: object, age_s: float | None) -> dict[str, Any]:
    """How far it is and how long is left, brought forward to now."""
    if not isinstance(said, dict):
        return {}
    done, total = as_number(said.get("done")), as_number(said.get("total"))
    unit, share = _text(said.get("unit"), 20), as_number(said.get("fraction"))
    found: dict[str, Any] = {"done": _whole(done), "total": _whole(total), "unit": unit}
    if unit == "epoch":
        found.update(epoch=_whole(done), epochs=_whole(total))
    if share is not None and 0 <= share <= 1:
        found["percent"] = round(share * 100, 2)
    left = said.get("remaining_s")
    if age_s is not None and isinstance(left, list) and len(left) == 2:
        low, high = as_number(left[0]), as_number(left[1])
        if low is not None and high is not None:
            found["remaining_s"] = [max(0.0, low - age_s), max(0.0, high - age_s)]
            found["at_most"] = said.get("at_most") is True
    return found


def _whole(value: float | None) -> float | None:
    return int(value) if value is not None and value.is_integer() else value


def _numbers(run: RunPaths, status: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The newest value of each metric; the main one's name and best."""
    rows, whole = epoch_rows(run)
    values: dict[str, float] = {}
    for each in rows:
        values.update(each.values)
    said = status.get("metrics")
    for key, value in said.items() if isinstance(said, dict) else ():
        number = as_number(value)
        if isinstance(key, str) and number is not None:
            values[key] = number
    main = names.main(values)
    if main is None or not any(main in each.values for each in rows):
        # Logged by the step; or not logged at all, but read off the output.
        rows, whole = all_rows(run)
        for each in rows:
            for key, number in each.values.items():
                if key not in values or not said:
                    values[key] = number
        main = names.main(values)
        if main is not None and names.canonical(main) in _OF_A_BATCH:
            whole = False
    found: dict[str, Any] = {"metrics": values}
    if main is None:
        return found
    found["metric"] = main
    of_main = [each for each in rows if main in each.values]
    if of_main:
        found.update(_of_epochs(of_main, facts))
    if whole:
        found.update(_best(of_main, main))
    return found


def _of_epochs(rows: list[Row], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the newest row tells beyond its values: the fold, and the epoch it closed."""
    last = rows[-1]
    found: dict[str, Any] = {}
    if last.scope.fold is not None:
        found["fold"] = last.scope.fold
    elif last.epoch is not None:
        # The supervisor looks every few seconds: the row may be newer than its count.
        counted = as_number(facts.get("epoch"))
        total = as_number(facts.get("epochs"))
        epoch = last.epoch + _first_is_zero(rows)
        if (counted is None or counted < epoch) and (total is None or epoch <= total):
            found["epoch"] = epoch
            if total:
                found["percent"] = max(as_number(facts.get("percent")) or 0, 100 * epoch / total)
    return found


def _first_is_zero(rows: list[Row]) -> int:
    """1 where a run counts its epochs from 0, so that people read them from 1."""
    scope = rows[-1].scope
    return int(any(each.epoch == 0 for each in rows if each.scope == scope))


def _best(rows: list[Row], main: str) -> dict[str, Any]:
    """The best value of a metric in the newest fold, and the epoch it is of."""
    better = names.better(main)
    of_fold = [
        each
        for each in rows
        if each.scope == rows[-1].scope and each.values[main] - each.values[main] == 0  # finite
    ]
    if better is None or not of_fold:
        return {}
    sign = 1 if better == "higher" else -1
    best = max(of_fold, key=lambda each: sign * each.values[main])
    found: dict[str, Any] = {"best": best.values[main]}
    if best.epoch is not None:
        found["best_epoch"] = best.epoch + _first_is_zero(rows)
    return found


def _ending(view: View, events: list[dict[str, Any]]) -> dict[str, Any]:
    """What belongs to a state: a cause, a silence, a wait."""
    newest: dict[str, dict[str, Any]] = {str(each.get("_event")): each for each in events}
    state = view.state
    found: dict[str, Any] = {}
    if isinstance(state, (Failed, Finished, Restarting)):
        cause = state.cause if isinstance(state, Failed) else None
        cause = cause or newest.get("Exited", {}).get("cause")
        if isinstance(cause, Mapping) and cause.get("kind") != "finished":
            found["cause"] = dict(cause)
    if isinstance(state, Restarting):
        restarting = newest.get("Restarting", {})
        found["in_s"] = as_number(restarting.get("in_s"))
        found["restarts_left"] = as_number(restarting.get("restarts_left"))
    if isinstance(state, Stalled):
        found["silent_s"] = state.silent_s
    if isinstance(state, Lost):
        found["why"] = state.why
    return found


def _cards(sample: object) -> str:
    """``GPU0 97 % 18.2/23.6 GiB 71 °C`` of each card."""
    if not isinstance(sample, dict):
        return ""
    cards = sorted({int(match[1]) for match in map(_CARD.match, map(str, sample)) if match})
    texts = []
    for card in cards[:_CARDS_AT_MOST]:
        util, used, total, heat = (
            as_number(sample.get(f"gpu{card}_{field}"))
            for field in ("util_percent", "memory_mib", "memory_total_mib", "temperature_c")
        )
        text = f"GPU{card}"
        text += "" if util is None else f" {util:.0f} %"
        if used is not None:
            text += " " + (mib(used) if total is None else f"{used / 1024:.1f}/{mib(total)}")
        texts.append(text + ("" if heat is None else f" {heat:.0f} °C"))
    more = len(cards) - len(texts)
    return " · ".join(texts) + (f" … (+{more})" if more else "")
