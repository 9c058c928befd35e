"""One name per number: what a metric is called, what else it is called, and which way is better.

The one table of these names; docs/metrics.md is held to it by a test. A name somebody writes in a
rule finds the number a job logs under another spelling: ``val_f1``, ``eval/f1`` and ``macro_f1``
are one. The exact spelling always wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Direction = Literal["lower", "higher"]
#: What a number of the job's machine is measured in. ``%`` of cpu: 100 = one core.
Measure = Literal["%", "MiB", "°C", "count"]


@dataclass(frozen=True)
class Metric:
    """A number a training logs."""

    name: str
    better: Direction | None = None
    #: ``s``, ``MiB`` or nothing.
    unit: str = ""


@dataclass(frozen=True)
class SystemValue:
    """A number of the job's machine, as rules call it.

    Attributes:
        name: In a rule.
        field: The key in ``system.jsonl``; ``*`` stands for a card's number, the highest counts.
        measure: Its unit there.
        whole: The key of what 100 % is, where a share can be asked for.
    """

    name: str
    field: str
    measure: Measure
    whole: str = ""


METRICS = (
    Metric("train_loss", "lower"),
    Metric("valid_loss", "lower"),
    Metric("train_accuracy", "higher"),
    Metric("accuracy", "higher"),
    Metric("train_macro_f1", "higher"),
    Metric("macro_f1", "higher"),
    Metric("best_macro_f1", "higher"),
    Metric("batch_loss", "lower"),
    Metric("lr"),
    Metric("time_s", "lower", "s"),
    Metric("mem_MiB", "lower", "MiB"),
)

SYSTEM_VALUES = (
    SystemValue("gpu_temp", "gpu*_temperature_c", "°C"),
    SystemValue("gpu_util", "gpu*_util_percent", "%"),
    SystemValue("gpu_memory", "gpu*_memory_mib", "MiB", "gpu*_memory_total_mib"),
    SystemValue("cpu", "cpu_percent", "%"),
    SystemValue("ram", "ram_mib", "MiB", "host_ram_total_mib"),
    SystemValue("host_cpu", "host_cpu_percent", "%"),
    SystemValue("host_ram", "host_ram_used_mib", "MiB", "host_ram_total_mib"),
    SystemValue("disk_free", "disk_free_mib", "MiB"),
    SystemValue("num_processes", "num_processes", "count"),
)

_BY_NAME = {metric.name: metric for metric in METRICS}
_SYSTEM = {value.name: value for value in SYSTEM_VALUES}
_SYSTEM_FIELDS = {value.field: value for value in SYSTEM_VALUES}
_CARD = re.compile(r"gpu(\d{1,3})(_.+)")

#: How a part of the data is called, in whatever place of the name.
_SPLITS = {
    "train": "train", "training": "train", "tr": "train", "trn": "train", "학습": "train",
    "훈련": "train",
    "val": "valid", "valid": "valid", "validation": "valid", "eval": "valid", "dev": "valid",
    "evaluation": "valid", "검증": "valid",
    "test": "test", "테스트": "test",
}  # fmt: skip
#: Spellings of one word.
_WORDS = {
    "acc": "accuracy", "정확도": "accuracy", "손실": "loss", "f1score": "f1",
    "ppl": "perplexity", "err": "error", "average": "mean", "avg": "mean",
}  # fmt: skip
#: Spellings of what is left when the part of the data is taken away.
_BASES = {
    "f1": "macro_f1", "f1_macro": "macro_f1", "f1_score": "macro_f1", "best_f1": "best_macro_f1",
    "learning_rate": "lr", "epoch_time": "time_s", "epoch_time_s": "time_s",
    "time_per": "time_s", "top1": "accuracy", "top_1": "accuracy",
    "accuracy_top1": "accuracy",
}  # fmt: skip
#: Numbers that are no part's: `train/learning_rate` is the learning rate.
_OF_THE_RUN = frozenset({"lr", "time_s", "mem_mib", "grad_norm"})
_LOWER_WORDS = frozenset({
    "loss", "error", "mse", "rmse", "mae", "mape", "smape", "rmsle", "ppl", "perplexity",
    "wer", "cer", "fid", "nll", "bpb", "bpc", "logloss", "brier", "ece", "eer", "hinge",
    "kl", "divergence", "cost", "deviance", "crossentropy", "time", "손실", "오차",
})  # fmt: skip
_HIGHER_WORDS = frozenset({
    "accuracy", "acc", "f1", "auc", "auroc", "roc", "auprc", "ap", "map", "map50", "map95",
    "iou", "miou", "giou", "dice", "jaccard", "precision", "recall", "sensitivity",
    "specificity", "bleu", "rouge", "rouge1", "rouge2", "rougel", "meteor", "cider",
    "spice", "chrf", "r2", "score", "psnr", "ssim", "top1", "top5", "hit", "hits", "ndcg",
    "mrr", "reward", "return", "win", "kappa", "mcc", "em", "qwk", "spearman", "pearson",
    "정확도", "점수",
})  # fmt: skip
#: What people watch first, where a run logs several. Then: any that is better higher, then a loss.
_FIRST = ("macro_f1", "accuracy")
_LAST = ("valid_loss", "train_loss")
_SPLIT_AT = re.compile(r"[\s_./:\\|-]+|(?<=[a-z0-9])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class _Meaning:
    """What a spelling means. ``said`` is false where the part of the data is our guess."""

    part: str
    base: str
    said: bool


def _meaning(name: str) -> _Meaning:
    words = [word for word in _SPLIT_AT.split(name) if word]
    low = [_WORDS.get(word.lower(), word.lower()) for word in words]
    # Lightning logs one number twice, as `train_loss_step` and `train_loss_epoch`.
    if len(low) > 1 and low[-1] in ("step", "epoch"):
        low.pop()
    part = ""
    for at, word in enumerate(low):
        if word in _SPLITS and len(low) > 1:
            part = _SPLITS[word]
            del low[at]
            break
    joined = "_".join(low)
    base = _BASES.get(joined, joined)
    if part and base not in _OF_THE_RUN:
        return _Meaning(part, base, said=True)
    # Bare: a loss is the training's, any other number the validation's.
    return _Meaning("train" if base == "loss" else "valid", base, said=False)


def _canonical_names() -> dict[tuple[str, str], str]:
    found = {}
    for metric in METRICS:
        meaning = _meaning(metric.name)
        found[meaning.part, meaning.base] = metric.name
    return found


_CANONICAL = _canonical_names()


def canonical(name: str, beside: Iterable[str] = ()) -> str:
    """The name of docs/metrics.md for a spelling; a number that has none there keeps its own.

    Args:
        name: The spelling.
        beside: What is logged with it: ``acc`` beside ``val_acc`` is the training's.
    """
    if name in _BY_NAME and not beside:
        return name
    meaning = _meanings({name, *beside})[name]
    return _CANONICAL.get((meaning.part, meaning.base), name)


def _meanings(logged: Iterable[str]) -> dict[str, _Meaning]:
    """What each spelling means among the others.

    Of a number that is logged both bare and as the validation's, as Keras does it, the bare one is
    the training's.
    """
    found = {name: _meaning(name) for name in logged}
    said = {each.base for each in found.values() if each.said and each.part == "valid"}
    return {
        name: replace(each, part="train") if not each.said and each.base in said else each
        for name, each in found.items()
    }


def better(name: str) -> Direction | None:
    """Which way a number improves; None where its name does not tell."""
    known = _BY_NAME.get(canonical(name))
    if known is not None:
        return known.better
    words = [
        _WORDS.get(word, word)
        for word in (re.sub(r"[(@].*", "", part.lower()) for part in _SPLIT_AT.split(name))
    ]
    # The last word that tells: a `loss_of_accuracy` is rare, an `accuracy_error` is an error.
    for word in reversed(words):
        if word in _LOWER_WORDS or word.endswith("loss"):
            return "lower"
        if word in _HIGHER_WORDS:
            return "higher"
    return None


def unit(name: str) -> str:
    """What a metric is measured in: ``s``, ``MiB``, or nothing."""
    known = _BY_NAME.get(canonical(name))
    return "" if known is None else known.unit


def resolve(name: str, logged: Iterable[str]) -> str | None:
    """The spelling among ``logged`` that means the same number as ``name``; None if there is none.

    The exact spelling wins, then the same letters in another case, then the same meaning: one that
    names its part of the data (``val_f1``) where ``name`` does, else one that does not.
    """
    logged = list(logged)
    if name in logged:
        return name
    low = name.lower()
    same_letters = sorted(each for each in logged if each.lower() == low)
    if same_letters:
        return same_letters[0]
    return _same(name, _meanings(logged))


def _same(name: str, logged: Mapping[str, _Meaning]) -> str | None:
    """The spelling that means the same number, whatever its letters."""
    asked, found = _meaning(name), []
    for each, meaning in logged.items():
        if (meaning.part, meaning.base) == (asked.part, asked.base):
            by_step = each.lower().endswith("step")
            rank = (meaning.said != asked.said, each not in _BY_NAME, by_step, len(each), each)
            found.append((rank, each))
    return min(found)[1] if found else None


def main(logged: Iterable[str]) -> str | None:
    """The number of a run that people watch first, as it was logged; None if none stands out."""
    meanings = _meanings(name for name in logged if not name.startswith("_"))
    quality = (
        name
        for name, meaning in meanings.items()
        if better(name) == "higher" and meaning.part == "valid" and "best" not in name.lower()
    )
    firsts, lasts = ((_same(name, meanings) for name in group) for group in (_FIRST, _LAST))
    return next(filter(None, (*firsts, *quality, *lasts)), None)


def system_value(name: str) -> SystemValue | None:
    """The number of the machine that a rule means; None for the name of a metric.

    Args:
        name: ``gpu_temp``, one card's ``gpu1_temp``, or a field of ``system.jsonl``.
    """
    known = _SYSTEM.get(name) or _SYSTEM_FIELDS.get(name)
    if known is not None:
        return known
    card = _CARD.fullmatch(name)
    if card is None:
        return None
    general = _SYSTEM.get("gpu" + card[2]) or _SYSTEM_FIELDS.get("gpu*" + card[2])
    if general is None:
        return None
    of_card = "gpu" + card[1]
    return SystemValue(
        name,
        general.field.replace("gpu*", of_card),
        general.measure,
        general.whole.replace("gpu*", of_card),
    )
