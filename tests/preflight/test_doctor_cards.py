"""The cards: a real small program in place of nvidia-smi, speaking its CSV and its failures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.preflight import cards
from overnight.preflight.cards import Card, check_gpus, find_gpus, parse_cards

_any_time = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_H200 = "0, NVIDIA H200, 580.65.06, 143771, 4, 9.0"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A file system root, and on PATH an nvidia-smi that does as told."""
    monkeypatch.setattr("overnight.supervisor.gpu._OTHER_PLACES", ())

    def make(script: str | None, *, card_on_bus: bool = True) -> Path:
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin" if script else str(bin_folder))
        if script is not None:
            program = bin_folder / "nvidia-smi"
            program.write_text("#!/bin/sh\n" + script)
            program.chmod(0o755)
        devices = {"0000:00:02.0": ("0x8086", "0x030000")}
        if card_on_bus:
            devices["0000:01:00.0"] = ("0x10de", "0x030200")
        for name, (vendor, kind) in devices.items():
            folder = tmp_path / "sys/bus/pci/devices" / name
            folder.mkdir(parents=True)
            (folder / "vendor").write_text(vendor + "\n")
            (folder / "class").write_text(kind + "\n")
        return tmp_path

    return make


def _levels(slash: Path) -> dict[str, str]:
    checks = check_gpus(find_gpus(slash))
    for check in checks:
        assert check.text
        assert bool(check.fix) == (check.level != "ok")
    return {check.code: check.level for check in checks}


def test_cards_are_read(machine: Callable[..., Path]) -> None:
    slash = machine(f"echo '{_H200}'\necho '1, NVIDIA H200, 580.65.06, 143771, 4, 9.0'")
    gpus = find_gpus(slash)
    assert gpus.driver == (580, 65, 6)
    assert gpus.cards == [
        Card(0, "NVIDIA H200", (9, 0), 143771, 4),
        Card(1, "NVIDIA H200", (9, 0), 143771, 4),
    ]
    (check,) = check_gpus(gpus)
    assert check.facts["driver"] == "580.65.06"
    assert "sm_90" in check.text


def test_a_driver_that_knows_no_compute_capability_is_asked_again(
    machine: Callable[..., Path],
) -> None:
    slash = machine(
        "case $1 in *compute_cap*)\n"
        "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2;; esac\n"
        "echo '0, Tesla V100-PCIE-16GB, 470.182.03, 16160, 0'"
    )
    gpus = find_gpus(slash)
    assert gpus.state == "ready"
    assert gpus.driver == (470, 182, 3)
    assert gpus.cards[0].capability is None


@pytest.mark.parametrize(
    ("script", "card_on_bus", "expected"),
    [
        (None, False, {"none": "ok"}),
        (None, True, {"no_driver": "bad"}),
        ("echo 'No devices were found'; exit 6", False, {"none": "ok"}),
        (
            "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
            '"; exit 9',
            True,
            {"broken": "bad"},
        ),
        (
            "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
            '"; exit 9',
            False,
            {"none": "ok"},
        ),
        (
            "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
            True,
            {"mismatch": "bad"},
        ),
        (f"echo '{_H200}' | sed 's/, 4,/, 120000,/'", True, {"ready": "ok", "busy": "warn"}),
        ("echo '0, NVIDIA A100, 580.65.06, [N/A], [N/A], 8.0'", True, {"ready": "ok"}),
    ],
)
def test_every_state_of_a_driver_is_told(
    machine: Callable[..., Path], script: str | None, card_on_bus: bool, expected: dict[str, str]
) -> None:
    assert _levels(machine(script, card_on_bus=card_on_bus)) == expected


def test_a_driver_that_hangs_is_told(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "_TIMEOUT_S", 1.0)
    assert _levels(machine("sleep 600 & wait")) == {"hung": "bad"}


@_any_time
@given(st.text() | st.text(alphabet="0123456789., []N/A\n"))
def test_any_csv_is_read(text: str) -> None:
    driver, found = parse_cards(text)
    assert driver is None or all(part >= 0 for part in driver)
    for card in found:
        assert card.index >= 0
