"""Which NVIDIA cards are here, and whether their driver answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from overnight.preflight.ask import Answer, ask
from overnight.preflight.check import Check, Json
from overnight.supervisor.gpu import find_nvidia_smi

#: A driver that answers at all does so within seconds; the first call after a boot loads it.
_TIMEOUT_S = 20.0
#: More than this in use before the job has begun: someone else is on the card.
_BUSY_SHARE = 0.5
_NVIDIA = "0x10de"
_FIELDS = ("index", "name", "driver_version", "memory.total", "memory.used", "compute_cap")


@dataclass(frozen=True, slots=True)
class Card:
    """One card; None where the driver does not tell.

    Attributes:
        capability: What its kernels are compiled for: (8, 9) is sm_89.
    """

    index: int
    name: str
    capability: tuple[int, int] | None
    memory_total_mib: float | None = None
    memory_used_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Gpus:
    """What is known of the machine's cards.

    Attributes:
        state: ``none`` = no NVIDIA card; ``no driver`` = a card, but nothing that drives it;
            ``broken`` = the driver answers with an error; ``hung`` = not at all.
        driver: Version numbers, (580, 65, 6); None where not known.
    """

    state: Literal["ready", "none", "no driver", "broken", "hung"]
    driver: tuple[int, ...] | None = None
    cards: Sequence[Card] = ()
    message: str = ""


def parse_capability(text: str) -> tuple[int, int] | None:
    """``8.9`` → (8, 9)."""
    match = re.fullmatch(r"\s*(\d{1,2})\.(\d)\s*", text, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


def parse_version(text: str) -> tuple[int, ...] | None:
    """``580.65.06`` → (580, 65, 6)."""
    match = re.fullmatch(r"\s*(\d{1,4}(?:\.\d{1,4}){0,3})\s*", text, re.ASCII)
    return tuple(int(part) for part in match[1].split(".")) if match else None


def format_version(version: tuple[int, ...] | None) -> str:
    """(580, 65, 6) → ``580.65.06``, as NVIDIA writes it."""
    if not version:
        return "?"
    return ".".join([str(version[0]), *(f"{part:02}" for part in version[1:])])


def parse_cards(csv: str) -> tuple[tuple[int, ...] | None, list[Card]]:
    """Driver and cards in the CSV of nvidia-smi; the compute capability may be missing."""
    driver = None
    cards = []
    for line in csv.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) < 5 or not re.fullmatch(r"\d{1,4}", fields[0], re.ASCII):
            continue
        driver = parse_version(fields[2]) or driver
        cards.append(
            Card(
                index=int(fields[0]),
                name=fields[1],
                capability=parse_capability(fields[5]) if len(fields) > 5 else None,
                memory_total_mib=_mib(fields[3]),
                memory_used_mib=_mib(fields[4]),
            )
        )
    return driver, cards


def _mib(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text, re.ASCII) else None


def find_gpus(slash: Path) -> Gpus:
    """Ask the driver; where there is none, look on the bus for a card without one.

    Args:
        slash: The file system's root.
    """
    program = find_nvidia_smi()
    answer = None if program is None else _query(program)
    if answer is None or answer.outcome == "missing":
        has_card = _has_card_on_bus(slash / "sys/bus/pci/devices")
        return Gpus("no driver" if has_card else "none")
    if answer.outcome == "timeout":
        return Gpus("hung")
    driver, cards = parse_cards(answer.stdout)
    if answer.returncode == 0:
        return Gpus("ready", driver, cards) if cards else Gpus("none", driver)
    message = " ".join((answer.stdout + " " + answer.stderr).split())[:300]
    # The program can be there without a card: it comes with many images.
    if "No devices were found" in message:
        return Gpus("none", driver)
    if "couldn't communicate" in message and not _has_card_on_bus(slash / "sys/bus/pci/devices"):
        return Gpus("none", driver)
    return Gpus("broken", driver, message=message)


def _query(program: str) -> Answer:
    """Ask for all fields; drivers before 510 know no ``compute_cap`` and refuse the whole."""
    answer = Answer("missing", -1, "", "")
    for fields in (_FIELDS, _FIELDS[:-1]):
        query = "--query-gpu=" + ",".join(fields)
        answer = ask([program, query, "--format=csv,noheader,nounits"], timeout_s=_TIMEOUT_S)
        if "compute_cap" not in answer.stdout + answer.stderr:
            break
    return answer


def _has_card_on_bus(devices: Path) -> bool:
    try:
        folders = list(devices.iterdir())
    except OSError:
        return False
    for folder in folders:
        try:
            vendor = (folder / "vendor").read_text("ascii").strip()
            kind = (folder / "class").read_text("ascii").strip()
        except (OSError, ValueError):
            continue
        if vendor == _NVIDIA and kind.startswith("0x03"):  # 03 = display controllers.
            return True
    return False


def check_gpus(gpus: Gpus) -> list[Check]:
    """What to say of the cards."""
    driver = format_version(gpus.driver)
    facts: dict[str, Json] = {
        "state": gpus.state,
        "driver": driver if gpus.driver else None,
        "cards": [_card_facts(card) for card in gpus.cards],
    }
    match gpus.state:
        case "none":
            return [Check("gpu", "ok", "none", facts)]
        case "no driver":
            return [Check("gpu", "bad", "no_driver", facts)]
        case "hung":
            return [Check("gpu", "bad", "hung", facts, {"limit": f"{_TIMEOUT_S:.0f}"})]
        case "broken":
            code = "mismatch" if "version mismatch" in gpus.message.lower() else "broken"
            return [Check("gpu", "bad", code, facts, {"message": gpus.message})]
        case "ready":
            names = ", ".join(_describe(card) for card in gpus.cards)
            checks = [Check("gpu", "ok", "ready", facts, {"cards": names, "driver": driver})]
            checks += [_busy(card) for card in gpus.cards if _is_busy(card)]
            return checks


def _card_facts(card: Card) -> Json:
    return {
        "index": card.index,
        "name": card.name,
        "capability": ".".join(map(str, card.capability)) if card.capability else None,
        "memory_total_mib": card.memory_total_mib,
        "memory_used_mib": card.memory_used_mib,
    }


def _describe(card: Card) -> str:
    arch = f", sm_{card.capability[0]}{card.capability[1]}" if card.capability else ""
    size = f", {card.memory_total_mib / 1024:.0f} GiB" if card.memory_total_mib else ""
    return f"{card.index}: {card.name} ({(arch + size).removeprefix(', ') or '?'})"


def _is_busy(card: Card) -> bool:
    used, total = card.memory_used_mib, card.memory_total_mib
    return used is not None and total is not None and used > _BUSY_SHARE * total


def _busy(card: Card) -> Check:
    facts: dict[str, Json] = {"card": _card_facts(card)}
    used, total = (card.memory_used_mib or 0) / 1024, (card.memory_total_mib or 0) / 1024
    fields = {"index": card.index, "used": f"{used:.0f} GiB", "total": f"{total:.0f} GiB"}
    return Check("gpu", "warn", "busy", facts, fields)
