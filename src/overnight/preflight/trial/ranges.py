"""From what a trial showed to what the full run will take.

What the trial ran is known; what it left out is worth its number of turns times what such a turn
took. Each interval is as wide as the turns differed, and at least as wide as a machine wavers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from overnight.preflight.trial.asked import Range, Ranges, Unknown
from overnight.preflight.trial.watch import Report, Seen

#: How far a machine's speed wavers between one hour and the next, as factors: of what was run, and
#: of what was worked out. What was run once starts sooner the next time: its files are in memory by
#: then, and its modules compiled (29 s after 35 s were seen).
_RAN = 0.80, 1.15
_LEFT_OUT = 0.82, 1.25
#: The same where others use the machine too: the same training was seen to take 40 % longer.
_RAN_BUSY = 0.77, 1.2
_LEFT_OUT_BUSY = 0.72, 1.38
_BUSY_PERCENT = 10.0
#: No range is wider than a third to each side of its middle: a wider one tells nobody anything.
_NARROWEST, _WIDEST = 0.70, 1.42
#: Peak memory: the full run is sampled every 5 s and may miss the very peak; more batches and
#: epochs leave more in the allocator's and the data loader's hands.
_RAM = 0.88, 1.32
#: Beside what torch reserves a card holds the driver's context, 250 to 700 MiB by version and card.
_CONTEXT_MIB = 250.0, 700.0
_VRAM_MORE = 1.12


@dataclass(frozen=True, slots=True)
class Lowered:
    """Two trials with lowered numbers of epochs, where no loop could be seen.

    Attributes:
        epochs: Of the full run.
        first: Epochs and seconds of the first trial, its left out loops worked out.
        second: The same of the second one.
    """

    epochs: int
    first: tuple[int, float]
    second: tuple[int, float]


def saved_s(reports: Sequence[Report], *, with_left: bool = False) -> tuple[float, float, float]:
    """What a trial's processes left out: those side by side count once, one after another add up.

    Args:
        reports: The earliest first.
        with_left: What was still to come of those that had not ended is added.
    """
    total = [0.0, 0.0, 0.0]
    group: list[tuple[float, float, float]] = []
    group_end_s = 0.0
    for each in [*reports, None]:
        if group and (each is None or each.begun_s >= group_end_s):
            longest = max(group, key=lambda saved: saved[1])
            total = [a + b for a, b in zip(total, longest, strict=True)]
            group.clear()
        if each is not None:
            left = each.left_s if with_left and not each.ended else (0.0, 0.0, 0.0)
            low, mid, high = (a + b for a, b in zip(each.saved_s, left, strict=True))
            group.append((low, mid, high))
            group_end_s = max(group_end_s, each.now_s)
    return total[0], total[1], total[2]


def work_out(
    seen: Seen,
    *,
    disk_mib: Range | None,
    may_stop_early: bool,
    lowered: Lowered | None = None,
) -> Ranges:
    """The ranges of the full run.

    Args:
        seen: What was seen of the (last) trial.
        disk_mib: As ``produced.scaled_mib`` has it.
        may_stop_early: Whether the script speaks of early stopping.
        lowered: Where the number of epochs was lowered.
    """
    duration_s, why = _duration(seen, lowered)
    if why == "failed":
        return Ranges(why_unknown=why)
    now_s = time.time()
    ends = None
    if duration_s is not None:
        ends = int((now_s + duration_s[0]) * 1e6), int((now_s + duration_s[1]) * 1e6)
    ram = seen.peak_ram_mib
    return Ranges(
        duration_s=duration_s,
        ends_at_us=ends,
        peak_ram_mib=(ram * _RAM[0], ram * _RAM[1]) if ram else None,
        peak_vram_mib=_vram(seen),
        disk_mib=disk_mib,
        at_most=may_stop_early
        or seen.early_stopping
        or any(each.notes.get("early_stopping") for each in seen.reports),
        why_unknown=why,
    )


def _duration(seen: Seen, lowered: Lowered | None) -> tuple[Range | None, Unknown]:
    if seen.code not in (0, None):
        return None, "failed"
    ended = seen.code == 0
    low, mid, high = saved_s(seen.reports, with_left=not ended)
    if lowered is not None and ended:
        (fewer, fewer_s), (more, more_s) = lowered.first, lowered.second
        epoch_s = max(0.0, more_s - fewer_s) / (more - fewer)
        left_s = (lowered.epochs - fewer) * epoch_s
        return _range(seen, fewer_s, (left_s * 0.9, left_s, left_s * 1.1)), ""
    if not ended and not any((low, mid, high)):
        if seen.remaining_s is None:
            return None, "no_loops"
        low, high = seen.remaining_s
        mid = (low + high) / 2
    elif not ended and any(_comes_again(each) for each in seen.reports):
        return None, "not_ended"
    elif not ended and not any(each.left_s[1] for each in seen.reports if not each.ended):
        return None, "not_ended"  # what came behind the loops was not seen to its end
    return _range(seen, seen.elapsed_s, (low, mid, high)), ""


def _comes_again(report: Report) -> bool:
    """Whether something unseen (folds, a ``while``) goes around the outermost loop."""
    return bool(report.open) and int(report.sites[report.open[0]]["passes"]) > 1


def _range(seen: Seen, ran_s: float, left_out_s: tuple[float, float, float]) -> Range:
    low_s, mid_s, high_s = left_out_s
    middle = ran_s + mid_s
    is_busy = seen.others_percent >= _BUSY_PERCENT
    ran, left_out = (_RAN_BUSY, _LEFT_OUT_BUSY) if is_busy else (_RAN, _LEFT_OUT)
    low = ran_s * ran[0] + min(low_s, mid_s * left_out[0])
    high = ran_s * ran[1] + max(high_s, mid_s * left_out[1])
    return max(low, middle * _NARROWEST), min(high, middle * _WIDEST)


def _vram(seen: Seen) -> Range | None:
    told = [each.vram_mib for each in seen.reports if each.vram_mib]
    if told:
        return max(told) + _CONTEXT_MIB[0], max(told) * _VRAM_MORE + _CONTEXT_MIB[1]
    if seen.peak_gpu_mib:
        return seen.peak_gpu_mib * 0.95, seen.peak_gpu_mib * 1.3
    return None


def epochs_run(reports: Sequence[Report]) -> tuple[int, int] | None:
    """Epochs that were run and those of the full run; None where no epochs were seen."""
    found = [
        (int(site["run"]), int(site["total"]) * int(site["passes"]))
        for each in reports
        for site in each.sites.values()
        if site["kind"] == "epoch"
    ]
    return max(found, key=lambda each: each[1], default=None)
