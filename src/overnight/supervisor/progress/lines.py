"""What one line of a training's output says about how far it is.

Understood as printed by default, ANSI colours and backspaces included: tqdm, Lightning (tqdm and
Rich bars), Ultralytics, Keras 2 and 3, transformers, the PyTorch examples, timm, MMEngine and
MMCV, Detectron2, CatBoost, and the loops people write themselves, in English and Korean.

A line without a hint leaves after a few substring tests. Every repetition in the expressions is
bounded and no two neighbours can match the same text at length, so no line makes them backtrack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# The part of a line that is looked at. Real progress lines are under 400 bytes.
MAX_LINE_BYTES = 2048

# `row`: not from the log but from the job's own records; `bars`: from bars that begin anew.
EpochForm = Literal["slash", "bare", "bracket", "rich", "yolo", "timm", "float", "row", "bars"]
Phase = Literal["start", "inside", "end"]
EarlyStopping = Literal["on", "fired"]


@dataclass(slots=True)
class EpochSeen:
    """An epoch's number, and where in that epoch the line was printed.

    Attributes:
        form: The way it was written. Two writers in one log may count differently.
        number: As printed; a fraction of epochs done for ``float``.
        total: As printed, if it was.
        phase: ``start`` a heading, ``inside`` with a step count or a bar, ``end`` with results.
        share: How much of the epoch is over (0..1), where the line has a step count.
    """

    form: EpochForm
    number: float
    total: int | None
    phase: Phase
    share: float | None


@dataclass(slots=True)
class BarSeen:
    """A progress bar's counts and the words before it (letters only, lower case)."""

    label: str
    done: float
    total: float
    preparing: bool  # downloads, tokenising, loading: says nothing about the training
    in_epoch: bool  # Keras draws bars inside an epoch only


@dataclass(slots=True)
class LineSeen:
    """All that a line told; most lines tell one thing."""

    epoch: EpochSeen | None = None
    bar: BarSeen | None = None
    fold: tuple[int, int | None] | None = None
    eta_s: float | None = None  # the framework's own, for the whole run
    eta_share: float | None = None  # of the whole run, where that line tells it
    num_epochs: int | None = None
    num_folds: int | None = None
    early_stopping: EarlyStopping | None = None
    from_trainer: bool = False  # a transformers log row: its one bar spans the whole run


_EPOCH_WORDS = (b"epoch", "에폭".encode(), "에포크".encode())
_FOLD_WORDS = (b"fold", "폴드".encode(), b"n_splits")
_RARE_WORDS = (b"eta:", b"remaining:", b"train:", b"early", b"signaling", "조기".encode())
_HEAVY_LINE = "━".encode()

_COUNT = re.compile(rb"\d[kmgtp]?\]?(?:\x1b\[\d{0,3}m)?\s{0,3}/\s{0,3}(?:\x1b\[\d{0,3}m)?\d")
_ANSI = re.compile(
    r"\x1b(?:\[[0-9;:?]{0,32}[ -/]{0,2}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\^_])"
)

_NUMBER = r"(\d{1,12}(?:\.\d{1,6})?)([kMGTP]?)"
_TQDM = re.compile(rf"(\d{{1,3}})%\|[^|]{{0,200}}\|\s{{0,4}}{_NUMBER}/{_NUMBER}(?![\d.])")
_HEAVY_BAR = re.compile(
    rf"(\d{{1,3}})%\s{{1,4}}[━╸╺─]{{1,80}}\s{{1,80}}{_NUMBER}B?/{_NUMBER}(?![\d.])"
)
_RICH_COUNT = re.compile(
    r"[━╸╺]{1,300}\s{1,40}(\d{1,12})/(\d{1,12})\s{1,9}\d{1,4}:\d\d:\d\d\s{0,3}•"
)
_RICH_SHARE = re.compile(r"[━╸╺]{1,300}\s{1,40}(\d{1,3})%\s{1,4}(?:\d{1,4}:\d\d:\d\d|-:--:--)")
_KERAS = re.compile(
    r"\s{0,12}(\d{1,12})/(\d{1,12})\s{1,3}(?:\[[=>.]{1,80}\]|━{1,60}|- \d{1,7}m?s\b)"
)
#: `[  3/250] acc=0.31`: by itself it might be a compiler's; the result says that it trains.
_BRACKETED = re.compile(r"\s{0,8}\[\s{0,9}(\d{1,9})\s{0,2}/\s{0,9}(\d{1,9})\s{0,2}\]")
_BYTE_RATE = re.compile(r"[kMGT]?i?B/s")
_PREPARING = re.compile(
    r"download|fetch|extract|unpack|unzip|tokeni|\bmap\b|mapping|filter|loading|load |generating"
    r"|resolving|caching|scanning|prepar|preprocess|saving|writing|upload|materiali[sz]ing"
    r"|sanity|group texts|packing|casting|converting|creating|checking|다운로드|전처리|불러오"
)
_LETTERS = re.compile(r"[^\W\d_]{1,24}")

_EPOCH = r"(?:epochs?|에폭|에포크)"
_PAIR = re.compile(
    rf"{_EPOCH}[^\w\n]{{0,6}}(\d{{1,7}})\s{{0,2}}(?:/|of\b)\s{{0,3}}(\d{{1,7}})(?![\d.])"
)
_PAIR_BEFORE = re.compile(rf"(?<![\d./])(\d{{1,7}})\s{{0,2}}/\s{{0,2}}(\d{{1,7}})\W{{0,3}}{_EPOCH}")
_TRAIN_PAIR = re.compile(r"\btrain\w{0,4}\W{1,4}(\d{1,7})/(\d{1,7})\]")  # Swin and its heirs
_BRACKET = re.compile(
    rf"{_EPOCH}(?:\(train\))?\W{{0,6}}(\d{{1,7}})\]?[^\w./-]{{1,6}}(\d{{1,9}})\s{{0,2}}/\s{{0,2}}(\d{{1,9}})(?![\d./])"
)
_TIMM = re.compile(r"\btrain: (\d{1,7}) \[\s{0,9}(\d{1,9})/(\d{1,9})")
_BARE = re.compile(
    r"(?<![_\w])(?:epoch|에폭|에포크)[^\w\n-]{0,4}(\d{1,7})(?![\d.]|\s{0,2}/\s{0,2}\d)"
)
_ORDINAL = re.compile(r"(?<![\d.])(\d{1,7})\s{0,2}(?:번째\s{0,2})?(?:에폭|에포크)")
_YOLO = re.compile(r"\s{0,12}(\d{1,6})/(\d{1,6})\s{2,12}[\d.]{1,8}[GM]\s")
_TRAINER_ROW = re.compile(r"""['"]epoch['"]:\s{0,2}['"]?(\d{1,7}(?:\.\d{1,20})?(?:e-?\d{1,3})?)""")
_INNER = re.compile(
    r"(?:steps?|iter\w{0,8}|batch\w{0,3}|스텝|배치)?[^\w.\n-]{0,6}"
    r"(\d{1,9})\s{0,2}(?:/|of\b)\s{0,2}(\d{1,9})(?![\d./])"
)
_STEP = re.compile(r"\b(?:steps?|iter\w{0,8}|batch\w{0,3}|스텝|배치)\W{0,3}\d")
_RESULT = re.compile(
    r"(?:loss|acc\w{0,6}|f1|auc|auroc|m[as]e|rmse|map|iou|dice|score|error|ppl|perplexity|bleu"
    r"|손실|정확도)[\w@/()-]{0,12}['\"]?\s{0,8}[:=|]?\s{0,8}[-+]?(?:\d|nan|inf)"
    r"|\b(?:done|finished|complete[d]?|took|ended)\b|완료|소요"
)
_NOT_THE_CURRENT = re.compile(
    r"\b(?:best|total|max|num|every|per|last|until|warm\w{0,3}|from)\W{0,3}$"
)
_NUM_EPOCHS = re.compile(
    r"(?<![\w.-])(?:(?:num_train_|num_|max_|n_|total_|num |max |total )?epochs"
    r"|(?:num|max|n|total)[_ ]epoch)"
    r"""['"]?\s{0,2}[:=]\s{0,2}['"]?(\d{1,7})(?![\d.])"""
)
_TRAINING_FOR = re.compile(
    r"\b(?:train|fit|fine-?tun|학습)\w{0,4}\s(?:\w{1,12}\s)?for (\d{1,7}) epochs\b"
)
_PATIENCE = re.compile(r"\bpatience\W{1,3}(\d{1,6})\b")
_OTHER_EPOCHS = re.compile(r"(?:warm\w{0,4}|freeze|frozen|cool\w{0,4}|burn\w{0,4}|decay)\W{0,2}$")

_FOLD = re.compile(
    r"(?:(?<![a-z])fold|폴드)[^\w\n]{0,5}(\d{1,3})(?:\s{0,2}(?:/|of\b)\s{0,2}(\d{1,3}))?(?![\d.])"
)
_FOLD_AFTER = re.compile(
    r"(?<![\d.])(\d{1,3})(?:\s{0,2}/\s{0,2}(\d{1,3})|번째)\s{0,2}(?:fold\b|폴드)"
)
_NUM_FOLDS = re.compile(r"\bn_splits\W{1,3}(\d{1,3})\b|(?<![\d.])(\d{1,3})(?:-| )?(?:fold\b|폴드)")

_CLOCK = r"(?:(\d{1,4}) days?, )?(\d{1,5}):(\d\d):(\d\d)"
# Two families print `eta:`: these mean the whole run; torchvision's and Swin's mean the epoch.
_RUN_ETA = re.compile(rf"\beta: {_CLOCK}")
_RUN_ETA_WRITER = re.compile(r"(?:epoch|iter)\(train\)|\bepoch \[\d{1,7}\]\[|\biter: \d|\biter \[")
_ITER = re.compile(r"iter(?:\(train\))?\s{0,2}\[\s{0,9}(\d{1,12})/\s{0,9}(\d{1,12})\]")
_BOOSTING = re.compile(
    r"\d{1,9}:\s.{0,400}?\btotal: ([\w .]{1,24}?)\s{1,4}remaining: ([\w .]{1,24})$"
)
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(d|h|ms|us|m|s)")
_AMOUNT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}

_EARLY = re.compile(r"early[ _-]?stop|조기\s?(?:종료|중단)|stopped early|signaling trainer to stop")
_EARLY_OFF = re.compile(
    r"early[ _-]?stop\w{0,20}['\"]?\s{0,2}[:=]?\s{0,2}(?:false|none|null|no\b|off|disabled|0\b)"
)
_EARLY_FIRED = re.compile(
    r"stopped early|signaling trainer to stop|epoch \d{1,7}: early stopping"
    r"|early[ _-]?stop(?:ping|ped)?\W{0,4}(?:$|at\b|after\b|triggered|activated|in epoch|on epoch)"
    r"|조기\s?(?:종료|중단)(?:$|[.!:]|합니다|되었|됨|했)"
)


def read_line(raw: bytes) -> LineSeen | None:
    """What the line says, or None. Any bytes are welcome; only the first 2,048 are looked at."""
    low = raw[:MAX_LINE_BYTES].lower()
    has_bar = b"%|" in low or _HEAVY_LINE in low
    has_count = has_bar or (b"/" in low and _COUNT.search(low) is not None)
    has_epoch = any(word in low for word in _EPOCH_WORDS)
    has_fold = any(word in low for word in _FOLD_WORDS)
    has_rare = any(word in low for word in _RARE_WORDS)
    if not (has_count or has_epoch or has_fold or has_rare):
        return None
    text = clean(raw[:MAX_LINE_BYTES])
    lower = text.lower()
    seen = LineSeen()
    head = text
    if has_count:
        head = _read_bar(text, seen)
    if has_rare:
        _read_rare(lower, seen)
    if has_fold:
        _read_fold(lower, seen)
    if has_epoch or has_count or has_rare:
        _read_epoch(text if seen.bar is None else head, seen)
    if has_epoch and seen.bar is None:
        _read_totals(lower, seen)
    return seen


def clean(raw: bytes) -> str:
    """The line as a person sees it: colours, cursor moves and backspaces gone."""
    text = raw.decode("utf-8", "replace")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\x08" in text:
        text = text.replace("\x08", "")
    return text


def _read_bar(text: str, seen: LineSeen) -> str:
    """Find a bar; the words before it are returned, as the epoch's number may be among them."""
    at = text.find("%|")
    if at >= 0:
        match = _TQDM.search(text, max(0, at - 3))
        if match:
            return _scaled_bar(seen, text, match, tail_chars=80)
        return text
    if "━" in text or "─" in text:
        match = _HEAVY_BAR.search(text)
        if match:
            return _scaled_bar(seen, text, match, tail_chars=40)
        match = _RICH_COUNT.search(text)
        if match:
            return _bar(seen, text[: match.start()], float(match[1]), float(match[2]), "•")
        match = _RICH_SHARE.search(text)
        if match:
            return _bar(seen, text[: match.start()], float(match[1]), 100.0, "")
    match = _KERAS.match(text)
    if match:
        head = _bar(seen, "", float(match[1]), float(match[2]), "")
        if seen.bar:
            seen.bar.in_epoch = True
        return head
    match = _BRACKETED.match(text)
    if match and _RESULT.search(text[match.end() :].lower()):
        rest = text[match.end() :]
        if not any(word in rest.lower() for word in ("epoch", "에폭", "에포크")):
            return _bar(seen, "", float(match[1]), float(match[2]), "")
    return text


def _scaled_bar(seen: LineSeen, text: str, match: re.Match[str], *, tail_chars: int) -> str:
    """The bar of a match whose counts may carry a k or M."""
    _, done, done_unit, total, total_unit = match.groups()
    tail = text[match.end() : match.end() + tail_chars]
    done_scaled, total_scaled = _scaled(done, done_unit), _scaled(total, total_unit)
    return _bar(seen, text[: match.start()], done_scaled, total_scaled, tail)


def _bar(seen: LineSeen, head: str, done: float, total: float, tail: str) -> str:
    if 0 <= done <= total and total > 0:
        lower = head.lower()
        label = " ".join(_LETTERS.findall(lower[-96:])[:6])
        preparing = _PREPARING.search(lower) is not None or _BYTE_RATE.search(tail) is not None
        seen.bar = BarSeen(label, done, total, preparing, in_epoch=tail == "•")
    return head


def _scaled(digits: str, unit: str) -> float:
    return float(digits) * 1000.0 ** (" kMGTP".index(unit) if unit else 0)


def _read_epoch(head: str, seen: LineSeen) -> None:
    """The epoch in the line, or in the words before its bar."""
    lower = head.lower()
    bar = seen.bar
    share = None if bar is None else bar.done / bar.total
    match = _YOLO.match(head)
    if match:
        _epoch(seen, "yolo", match[1], match[2], "inside", share)
        return
    match = _TRAINER_ROW.search(lower)
    if match and "{" in lower[: match.start()]:
        seen.from_trainer = True
        seen.epoch = EpochSeen("float", float(match[1]), None, "inside", None)
        return
    match = _TIMM.search(lower)
    if match:
        _counted(seen, "timm", match[1], None, match[2], match[3])
        return
    match = _PAIR.search(lower) or _TRAIN_PAIR.search(lower) or _PAIR_BEFORE.search(lower)
    if match:
        number, total = match[1], match[2]
        if bar is not None:
            form: EpochForm = "rich" if bar.in_epoch else "slash"
            _epoch(seen, form, number, total, "inside", share)
            return
        rest = lower[match.end() :]
        inner = _INNER.match(rest, 0) or _find_inner(rest)
        if inner:
            _counted(seen, "slash", number, total, inner[1], inner[2])
        else:
            _epoch(seen, "slash", number, total, _phase(rest), None)
        return
    match = _BRACKET.search(lower)
    if match:
        if bar is None:
            _counted(seen, "bracket", match[1], None, match[2], match[3])
        return
    match = _BARE.search(lower) or _ORDINAL.search(lower)
    if match and not _NOT_THE_CURRENT.search(lower, max(0, match.start() - 16), match.start()):
        if bar is not None:
            _epoch(seen, "bare", match[1], None, "inside", share)
            return
        rest = lower[match.end() :]
        inner = _find_inner(rest)
        if inner:
            _counted(seen, "bare", match[1], None, inner[1], inner[2])
        else:
            _epoch(seen, "bare", match[1], None, _phase(rest), None)


def _find_inner(rest: str) -> re.Match[str] | None:
    """A step count behind the epoch's: `, Step [100/600]`."""
    word = _STEP.search(rest.replace("[", " ").replace("(", " "))
    return _INNER.match(rest, word.start()) if word else None


def _phase(rest: str) -> Phase:
    if _STEP.search(rest):
        return "inside"
    return "end" if _RESULT.search(rest) else "start"


def _counted(
    seen: LineSeen, form: EpochForm, number: str, total: str | None, done: str, steps: str
) -> None:
    of = int(steps)
    share = int(done) / of if of and int(done) <= of else None
    _epoch(seen, form, number, total, "inside", share)


def _epoch(
    seen: LineSeen,
    form: EpochForm,
    number: str,
    total: str | None,
    phase: Phase,
    share: float | None,
) -> None:
    epochs = None if total is None else int(total)
    if epochs is None or int(number) <= epochs:
        seen.epoch = EpochSeen(form, int(number), epochs, phase, share)


def _read_totals(lower: str, seen: LineSeen) -> None:
    """Totals told once, in a printed configuration."""
    match = _NUM_EPOCHS.search(lower)
    if match and not _OTHER_EPOCHS.search(lower, max(0, match.start() - 12), match.start()):
        seen.num_epochs = int(match[1]) or None
        patience = _PATIENCE.search(lower)
        if patience and seen.num_epochs and 0 < int(patience[1]) < seen.num_epochs:
            seen.early_stopping = "on"
        return
    match = _TRAINING_FOR.search(lower)
    if match:
        seen.num_epochs = int(match[1]) or None


def _read_fold(lower: str, seen: LineSeen) -> None:
    match = _FOLD.search(lower) or _FOLD_AFTER.search(lower)
    if match:
        number, total = int(match[1]), None if match[2] is None else int(match[2])
        if total is None or number <= total:
            seen.fold = (number, total or None)
            return
    match = _NUM_FOLDS.search(lower)
    if match:
        seen.num_folds = int(match[1] or match[2]) or None


def _read_rare(lower: str, seen: LineSeen) -> None:
    if "eta:" in lower and _RUN_ETA_WRITER.search(lower):
        match = _RUN_ETA.search(lower)
        if match:
            days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
            seen.eta_s = days * 86400.0 + hours * 3600.0 + minutes * 60.0 + seconds
            count = _ITER.search(lower)
            if count and 0 < int(count[2]) >= int(count[1]):
                seen.eta_share = int(count[1]) / int(count[2])
    elif "remaining:" in lower:
        match = _BOOSTING.match(lower.rstrip())
        if match:
            spent_s, seen.eta_s = _amount_s(match[1]), _amount_s(match[2])
            whole_s = spent_s + seen.eta_s
            seen.eta_share = spent_s / whole_s if whole_s else None
    match = _EARLY.search(lower)
    if match and not _EARLY_OFF.search(lower):
        seen.early_stopping = "fired" if _EARLY_FIRED.search(lower.rstrip()) else "on"


def _amount_s(text: str) -> float:
    """`1h 2m`, `10.8s`, `567ms` in seconds."""
    return sum(float(count) * _AMOUNT_S[unit] for count, unit in _AMOUNT.findall(text))
