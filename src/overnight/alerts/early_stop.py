"""Did a run that ended well end early? From its own word, its log, or how many epochs it did.

The log is read backwards: the newest line that says so decides, and only if no other pass of
training (a fold, a second stage) followed it. What is configured ("early stopping: patience 5") or
counted ("counter: 3 out of 5") is not yet a stop.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from overnight.alerts.known import whole
from overnight.alerts.trim import ESCAPE
from overnight.redact import redact

#: ``callback``: the job said so in its ledger. ``said``: a line of its log. ``short``: it ended
#: well before the last epoch that was announced.
Reason = Literal["callback", "said", "short"]

# A line that says more than this is no such line; a bar's frame may stand in front of it.
_LINE_CHARS = 1000
_EVIDENCE_CHARS = 200
# An epoch that printed more lines than this has no number any more.
_LINES_BACK = 500
# One epoch less is a matter of counting from 0 or of a heading; a tenth is "well before".
_LEAST_EPOCHS_LEFT = 2
_LEAST_SHARE_LEFT = 0.1

_BREAK = re.compile(r"[\r\n\x0b\x0c\x85\u2028\u2029]+")
#: Whatever may stand in front of a message: time, level, the writer's name.
_HEAD = r"(?:^|[\]|>}:–—-]\s{0,4})[^\w\n]{0,8}"
_EARLY = r"early[ _-]?stop(?:ping|ped|s)?"
_EARLY_KO = r"(?:조기\s?(?:종료|중단)|얼리\s?(?:스탑|스톱|스타핑|스토핑)핑?)"
_FIRED = re.compile(
    "|".join(
        (
            # Keras and fastai
            r"epoch \d{1,7}: early stopping",
            # Lightning: no improvement, a threshold, a value that is not finite, a time limit
            r"\. signaling trainer to stop",
            # Ultralytics, YOLOv5
            r"training stopped early as no improvement",
            r"stopping training early as no improvement",
            # CatBoost, LightGBM, XGBoost
            r"stopped by overfitting detector",
            r"(?<!meet )early stopping, best iteration",
            _HEAD + r"stopping\. best iteration",
            # home-made, in English
            _EARLY
            + r"\W{0,4}(?:triggered|activated|reached|engaged|occurred|executed|condition met"
            r"|condition reached|criteri(?:on|a) (?:met|reached)|at epoch|at step|at iter|at round"
            r"|@ ?ep|after \d|in epoch|on epoch|epoch \d|no improvement|because|due to)",
            _HEAD + _EARLY + r"[\s.!…)]{0,6}$",
            r"\b(?:stopp(?:ing|ed) (?:the )?(?:training )?early)\b(?! (?:stop|(?:is|if|will)\b))",
            r"\btrigger(?:ed|ing|s)? (?:the )?early[ _-]?stop",
            r"no improvement (?:for|in|since|after) .{1,40}(?:early exit|stopping\b(?! round))",
            # home-made, in Korean
            _EARLY_KO + r"(?:합니다|됨|되었|됐|했|함|!|\.|\s{0,4}$| ?@| ?\(|: ?\d| ?[-–] ?에)",
            _EARLY_KO + r"(?:로 인해| 조건을? (?:만족|충족)| 발동| 실행)",
        )
    )
)
#: As many times as it was patient: ``EarlyStopping counter: 5 out of 5``.
_COUNTER = re.compile(
    r"(?:early[ _-]?stop\w{0,6}|patience|조기\s?종료)\W{0,4}(?:counter|count|카운터)?\W{0,4}"
    r"(\d{1,6}) ?(?:out of|of|/) ?(\d{1,6})(?![\d.])"
)
#: The training was over before it could fire.
_NOT_FIRED = re.compile(r"did not meet early stopping|early[ _-]?stopping (?:was )?not triggered")
#: A setting, a plan or a wish.
_SETTING = re.compile(
    _EARLY + r"\w{0,20}['\"]?\s{0,2}(?:[:=]\s{0,2})?(?:true|false|none|null|off|on\b(?! epoch)"
    r"|yes|no\b(?! improvement)|enabled|disabled|patience|rounds|will|is\b|if\b)"
    r"|(?:with|without|using|use|enable[sd]?|disable[sd]?|no|for|until|not) " + _EARLY
    + r"|" + _EARLY_KO + r" ?(?:patience|설정|사용|기준|까지|: ?(?:사용|없음|on|off))"
)  # fmt: skip
_EPOCH = re.compile(
    r"(?<!since )(?:epoch|에폭|에포크)[^\w\n-]{0,4}(\d{1,7})(?:\s{0,2}(/|of\b)\s{0,3}(\d{1,7}))?"
)
#: ``after 20 epochs``, but not ``after 5 epochs without improvement``.
_ORDINAL = re.compile(
    r"\b(?:after|at) (\d{1,7}) epochs?\b(?! (?:with|of) ?(?:out|no)?\b)"
    r"|(?<![\d.])(\d{1,7})\s?번째\s?(?:에폭|에포크)"
)
#: What follows such a word is about the best epoch, not the present one.
_ABOUT_THE_BEST = re.compile(r"best|최고|최적|restor|load")
#: A boosting library's own rows.
_ROUND = re.compile(r"\s{0,8}(?:\[(\d{1,9})\]\s|(\d{1,9}):\s{0,4}(?:learn|test|loss))")


@dataclass(frozen=True)
class EarlyStop:
    """An early end, and what shows it.

    Attributes:
        reason: Where it is known from.
        evidence: The line of the log, without secrets; empty where there is none.
        epoch: The last epoch, as far as it is known.
    """

    reason: Reason
    evidence: str = ""
    epoch: int | None = None


def seen(
    log_tail: str,
    done: float | None,
    total: float | None,
    job_events: Iterable[Mapping[str, Any]],
    *,
    unit: str = "epoch",
) -> EarlyStop | None:
    """Whether an attempt that ended well ended early.

    Args:
        log_tail: The end of the attempt's output, 64 KB or so.
        done: Epochs (or steps) that were over at the end; None where nobody counted.
        total: How many there should have been; None where nobody knows.
        job_events: The attempt's records of ``job.jsonl``, in order.
        unit: What ``done`` and ``total`` count.
    """
    counts_epochs = unit == "epoch"
    was_whole = counts_epochs and done is not None and total is not None and done >= total
    called = _called(job_events)
    line, epoch, of = _said(log_tail)
    if called is not None and not was_whole:
        if epoch is None and counts_epochs and done is not None:
            epoch = int(done)
        return EarlyStop("callback", line, called if called >= 0 else epoch)
    if line and not was_whole and not (epoch is not None and of is not None and epoch >= of):
        return EarlyStop("said", line, epoch)
    if done is None or total is None or line:
        return None
    last, last_of = _last_epoch(_lines(log_tail))
    if counts_epochs and last is not None and last_of is not None:
        # What was printed last tells more than a number of epochs somebody may have set.
        done, total = float(last), float(last_of)
    if done >= 1 and _is_short(done, total):
        return EarlyStop("short", "", int(done) if counts_epochs else last)
    return None


def _is_short(done: float, total: float) -> bool:
    left = total - done
    return left >= _LEAST_EPOCHS_LEFT and left >= _LEAST_SHARE_LEFT * total


def _called(job_events: Iterable[Mapping[str, Any]]) -> int | None:
    """The epoch of the job's own EarlyStopped, -1 if it names none; None if it was not called.

    One fold's early end is not the run's when another fold began behind it.
    """
    called, fold_called, newest_fold = None, None, None
    for record in job_events:
        fold = whole(record.get("fold"))
        newest_fold = newest_fold if fold is None else fold
        if record.get("_event") == "EarlyStopped":
            epoch = whole(record.get("epoch"))
            called = -1 if epoch is None else max(-1, epoch)
            fold_called = newest_fold
    return called if fold_called == newest_fold else None


def _said(log_tail: str) -> tuple[str, int | None, int | None]:
    """The line that says it, the epoch it was in and of how many; an empty line if none does."""
    after: list[str] = []
    lines = _lines(log_tail)
    for at in range(len(lines) - 1, -1, -1):
        low = lines[at].lower()
        if _NOT_FIRED.search(low):
            return "", None, None
        if _has_fired(low):
            if _went_on(low, lines[:at], after):
                return "", None, None
            epoch, of = _epoch_in(low)
            before, before_of = _last_epoch(lines[:at])
            if epoch is None:
                epoch, of = before, before_of
            elif epoch == before and of is None:
                of = before_of
            return _evidence(lines[at]), epoch, of
        after.append(low)
    return "", None, None


def _lines(log_tail: str) -> list[str]:
    # A bar may write over its own line, and a message may stand behind a bar's frame.
    found = (ESCAPE.sub("", line).strip() for line in _BREAK.split(log_tail))
    return [line[-_LINE_CHARS:] for line in found if line]


def _has_fired(low: str) -> bool:
    if "stop" not in low and "조기" not in low and "얼리" not in low and "patience" not in low:
        return False
    counter = _COUNTER.search(low)
    if counter is not None:
        return int(counter[1]) >= int(counter[2]) > 0
    return _FIRED.search(low) is not None and _SETTING.search(low) is None


def _went_on(fired: str, before: list[str], after: list[str]) -> bool:
    """Whether training went on behind the line: two other epochs, or three rounds of boosting."""
    here = _epoch_in(fired)[0]
    if here is None:
        here = _last_epoch(before)[0]
    epochs, rounds = set(), 0
    for line in after:
        rounds += _ROUND.match(line) is not None
        epoch = _epoch_in(line)[0]
        if epoch is not None and epoch != here:
            epochs.add(epoch)
    return len(epochs) >= 2 or rounds >= 3


def _epoch_in(low: str) -> tuple[int | None, int | None]:
    """The present epoch a line names, and of how many."""
    about = _ABOUT_THE_BEST.search(low)
    low = low[: about.start()] if about is not None else low
    found = _EPOCH.search(low)
    if found is not None:
        return int(found[1]), int(found[3]) if found[3] else None
    ordinal = _ORDINAL.search(low)
    return (int(ordinal[1] or ordinal[2]), None) if ordinal is not None else (None, None)


def _last_epoch(lines: Sequence[str]) -> tuple[int | None, int | None]:
    """The epoch named last, and of how many; lines about the best one do not count."""
    for line in reversed(lines[-_LINES_BACK:]):
        epoch, of = _epoch_in(line.lower())
        if epoch is not None:
            return epoch, of
    return None, None


def _evidence(line: str) -> str:
    """The line as it may be shown: what a bar drew in front of it is cut, secrets are hidden."""
    at = max(line.rfind(mark) for mark in ("]", "█", "━", "|"))
    tail = line[at + 1 :].strip() if at >= 0 and len(line) > _EVIDENCE_CHARS else line
    clean = "".join(c if c.isprintable() else " " for c in redact(tail or line))
    clean = " ".join(clean.split())
    return clean if len(clean) <= _EVIDENCE_CHARS else clean[: _EVIDENCE_CHARS - 1] + "…"
