"""Which torch runs on which card with which driver, and what to install instead."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.messages.doctor import EN
from overnight.preflight.ask import Answer
from overnight.preflight.cards import Card, Gpus, parse_capability, parse_version
from overnight.preflight.interpreter import (
    Device,
    Interpreter,
    TorchBuild,
    ask_interpreter,
    check_interpreter,
    parse_cuda,
    read_answer,
)
from overnight.preflight.python import job_python
from overnight.preflight.torch_build import (
    Fit,
    Install,
    check_torch,
    fit,
    fitting_install,
    install_line,
    runs_on,
)

_any_time = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# The kernels that PyTorch's own builds for Linux on x86-64 hold.
CU118 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_37", "sm_90")
CU121 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
CU126 = CU121
CU128_UNTIL_2_10 = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
CU130 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
V100 = Card(0, "Tesla V100-SXM2-32GB", (7, 0))
P100 = Card(0, "Tesla P100-PCIE-16GB", (6, 0))
GTX1080 = Card(0, "NVIDIA GeForce GTX 1080", (6, 1))
T4 = Card(0, "Tesla T4", (7, 5))
A100 = Card(0, "NVIDIA A100-SXM4-80GB", (8, 0))
RTX3090 = Card(0, "NVIDIA GeForce RTX 3090", (8, 6))
RTX4090 = Card(0, "NVIDIA GeForce RTX 4090", (8, 9))
H200 = Card(0, "NVIDIA H200", (9, 0))
B200 = Card(0, "NVIDIA B200", (10, 0))
RTX5090 = Card(0, "NVIDIA GeForce RTX 5090", (12, 0))
K80 = Card(0, "Tesla K80", (3, 7))
K40 = Card(0, "Tesla K40m", (3, 5))


def ready(driver: str, *cards: Card) -> Gpus:
    return Gpus("ready", parse_version(driver), cards)


def torch_of(cuda: str | None, archs: tuple[str, ...] = (), **more: Any) -> TorchBuild:
    version = "2.13.0+cpu" if cuda is None else "2.13.0+cu" + cuda.replace(".", "")
    return TorchBuild(version, cuda=parse_cuda(cuda or ""), archs=archs, **more)


def seen(*cards: Card, error: str | None = None) -> tuple[Device, ...]:
    return tuple(Device(card.name, card.capability, error) for card in cards)


NO_KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
NONE = Gpus("none")
AUTO = Install("auto")
COMBINATIONS = [
    ("V100 + cu130", ready("580.65.06", V100), torch_of("13.0", CU130, is_available=True,
     devices=seen(V100, error=NO_KERNEL)), "card_unsupported", Install("cu126")),
    ("V100 + cu130, kernels not tried", ready("580.65.06", V100), torch_of("13.0", CU130),
     "card_unsupported", Install("cu126")),
    ("P100 + cu132", ready("580.95.05", P100), torch_of("13.2", CU130), "card_unsupported",
     Install("cu126")),
    ("GTX 1080 + cu128 of 2.10", ready("570.133.07", GTX1080), torch_of("12.8", CU128_UNTIL_2_10),
     "card_unsupported", Install("cu126")),
    ("GTX 1080 + cu126", ready("570.133.07", GTX1080), torch_of("12.6", CU126, is_available=True,
     devices=seen(GTX1080)), "works", None),
    ("GTX 1080, driver 470, cu130", ready("470.256.02", GTX1080),
     torch_of("13.0", CU130, is_available=False), "driver_too_old", Install("cu118")),
    ("H200, driver 570, cu130", ready("570.86.15", H200),
     torch_of("13.0", CU130, is_available=False), "driver_too_old", AUTO),
    ("H200, driver 570, cu130, compatibility package", ready("570.86.15", H200),
     torch_of("13.0", CU130, is_available=True, devices=seen(H200)), "works", None),
    ("H200, driver 580, cu130", ready("580.65.06", H200),
     torch_of("13.0", CU130, is_available=True, devices=seen(H200)), "works", None),
    ("RTX 5090 + cu121", ready("575.57.08", RTX5090), torch_of("12.1", CU121, is_available=True,
     devices=seen(RTX5090, error=NO_KERNEL)), "card_unsupported", AUTO),
    ("RTX 5090 + cu130", ready("580.65.06", RTX5090), torch_of("13.0", CU130, is_available=True),
     "fits", None),
    ("B200 + cu126", ready("570.86.15", B200), torch_of("12.6", CU126), "card_unsupported", AUTO),
    ("RTX 4090 + cu121, minor version", ready("550.54.15", RTX4090),
     torch_of("12.1", CU121, is_available=True), "fits", None),
    ("RTX 3090, driver 520, cu121", ready("520.61.05", RTX3090),
     torch_of("12.1", CU121, is_available=False), "driver_too_old", AUTO),
    ("RTX 3090, driver 390, cu118", ready("390.157", RTX3090),
     torch_of("11.8", CU118, is_available=False), "driver_too_old", None),
    ("A100, CPU build", ready("580.65.06", A100), torch_of(None, is_available=False),
     "cpu_build", AUTO),
    ("V100, CPU build", ready("580.65.06", V100), torch_of(None, is_available=False),
     "cpu_build", Install("cu126")),
    ("K80, CPU build", ready("470.256.02", K80), torch_of(None), "cpu_build", Install("cu118")),
    ("K40, CPU build", ready("470.256.02", K40), torch_of(None), "cpu_build", None),
    ("K80 + cu118", ready("470.256.02", K80), torch_of("11.8", CU118, is_available=True), "fits",
     None),
    ("V100 and RTX 5090 + cu130", ready("580.65.06", V100, RTX5090), torch_of("13.0", CU130),
     "some_unsupported", Install("cu128", "torch<2.11")),
    ("GTX 1080 and RTX 5090 + cu130", ready("580.65.06", GTX1080, RTX5090),
     torch_of("13.0", CU130), "some_unsupported", None),
    ("V100 hidden, T4 seen, cu130", ready("580.65.06", V100, T4), torch_of("13.0", CU130,
     is_available=True, devices=seen(T4)), "works", None),
    ("AMD build beside an A100", ready("580.65.06", A100),
     TorchBuild("2.13.0+rocm6.4", is_rocm=True, is_available=False), "rocm_build", AUTO),
    ("AMD build on an AMD machine", NONE, TorchBuild("2.13.0+rocm6.4", is_rocm=True,
     is_available=True, devices=(Device("AMD Instinct MI300X", (9, 4)),)), "works", None),
    ("AMD build that sees nothing", NONE, TorchBuild("2.13.0+rocm6.4", is_rocm=True), "rocm", None),
    ("no card, CPU build", NONE, torch_of(None, is_available=False), "cpu_only", None),
    ("no card, cu130", NONE, torch_of("13.0", CU130, is_available=False), "no_card", None),
    ("no nvidia-smi, but a card that works", NONE, torch_of("13.0", CU130, is_available=True,
     devices=seen(A100)), "works", None),
    ("a card without a driver", Gpus("no driver"), torch_of("13.0", CU130, is_available=False),
     "no_driver", None),
    ("a driver that hangs", Gpus("hung"), torch_of("13.0", CU130), "no_driver", None),
    ("no torch, A100", ready("580.65.06", A100), None, "absent", AUTO),
    ("no torch, V100", ready("580.65.06", V100), None, "absent", Install("cu126")),
    ("no torch, no card", NONE, None, "absent", Install("cpu")),
    ("old nvidia-smi tells no capability; torch does", ready("470.82.01",
     Card(0, "Tesla V100", None)), torch_of("11.8", CU118, is_available=True, devices=seen(V100)),
     "works", None),
    ("nobody tells the capability", ready("470.82.01", Card(0, "Tesla V100", None)),
     torch_of("11.8", CU118), "unknown", None),
    ("a card with full memory", ready("580.65.06", A100), torch_of("13.0", CU130,
     is_available=True, devices=seen(A100, error="OutOfMemoryError: CUDA out of memory.")),
     "full", None),
    ("a card that fails", ready("580.65.06", A100), torch_of("13.0", CU130, is_available=True,
     devices=seen(A100, error="RuntimeError: CUDA error: uncorrectable ECC error encountered")),
     "fails", None),
    ("all fits, torch sees no card", ready("580.65.06", A100),
     torch_of("13.0", CU130, is_available=False), "not_available", None),
    ("a later card, through PTX", ready("590.10", Card(0, "a later card", (13, 0))),
     torch_of("13.0", CU130, is_available=True), "jit", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("gpus", "build", "verdict", "install"),
    [combination[1:] for combination in COMBINATIONS],
    ids=[str(combination[0]) for combination in COMBINATIONS],
)
def test_fit(gpus: Gpus, build: TorchBuild | None, verdict: str, install: Install | None) -> None:
    found = fit(gpus, build)
    assert found.verdict == verdict
    assert found.install == install or install is None
    # What is advised has kernels for the cards and runs on the driver: it would be judged well.
    if install is not None and gpus.cards:
        assert fitting_install(gpus.driver, [c.capability for c in gpus.cards if c.capability])
    if verdict in {"cpu_build", "driver_too_old", "card_unsupported"} and install is None:
        assert found.install is None


def test_hidden_cards_are_told_from_missing_ones() -> None:
    build = torch_of("13.0", CU130, is_available=False)
    gpus = ready("580.65.06", A100)
    assert fit(gpus, build, visible_devices="").verdict == "hidden"
    assert fit(gpus, build, visible_devices="-1").verdict == "hidden"
    assert fit(gpus, build, visible_devices="0").verdict == "not_available"


@pytest.mark.parametrize(
    ("archs", "capability", "way"),
    [
        (["sm_80"], (8, 9), "binary"),
        (["sm_86"], (8, 0), "no"),
        (["sm_90a"], (9, 0), "binary"),
        (["sm_100a"], (10, 3), "no"),
        (["sm_100f"], (10, 3), "binary"),
        (["sm_100"], (12, 0), "no"),
        (["compute_90"], (12, 0), "ptx"),
        (["compute_120"], (9, 0), "no"),
        (["sm_60"], (6, 1), "binary"),
        (["gfx942", "", "sm_"], (9, 4), "no"),
        ([], (9, 0), "no"),
    ],
)
def test_runs_on(archs: list[str], capability: tuple[int, int], way: str) -> None:
    assert runs_on(archs, capability) == way


@_any_time
@given(
    st.none() | st.lists(st.integers(0, 999), min_size=1, max_size=3).map(tuple),
    st.lists(st.tuples(st.integers(1, 15), st.integers(0, 9)), max_size=4),
)
def test_every_machine_gets_an_answer(
    driver: tuple[int, ...] | None, capabilities: list[tuple[int, int]]
) -> None:
    cards = [Card(i, f"card {i}", pair) for i, pair in enumerate(capabilities)]
    for build in (None, torch_of(None), torch_of("13.0", CU130), torch_of("12.6", CU126)):
        found = fit(Gpus("ready" if cards else "none", driver, cards), build)
        assert isinstance(found, Fit)
        if found.install and found.install.backend == "cu126":
            assert all(runs_on(CU126, pair) == "binary" for pair in capabilities if pair < (10, 0))


def test_the_line_reinstalls_what_belongs_together() -> None:
    line = install_line(Install("cu126"), "/envs/my env/bin/python", ["torch", "torchvision"])
    words = shlex.split(line.rpartition("&& ")[2])
    assert words[:5] == ["uv", "pip", "install", "--python", "/envs/my env/bin/python"]
    assert "--reinstall" in words
    assert words[-3:] == ["torch", "torchvision", "--torch-backend=cu126"]
    assert "--reinstall" not in install_line(AUTO, "python", [])


@pytest.mark.parametrize(
    ("gpus", "build"), [combination[1:3] for combination in COMBINATIONS], ids=str
)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_each_verdict_is_a_sentence(
    gpus: Gpus, build: TorchBuild | None, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", lang)
    interpreter = Interpreter(
        "/usr/bin/python3",
        "own",
        (3, 12, 1),
        torch_state="ready" if build else "absent",
        build=build,
    )
    check = check_torch(gpus, interpreter)
    assert check is not None
    assert "{" not in check.text + check.fix
    assert "None" not in check.text + check.fix
    assert not check.fix.rstrip().endswith(":"), "a line was promised"
    if check.level == "bad":
        assert check.fix
    json.dumps(check.to_json(), allow_nan=False)
    assert f"doctor.torch.{check.code}" in EN


# ── the job's interpreter ─────────────────────────────────────────────────────────────────────
@pytest.fixture
def fake_python(tmp_path: Path) -> Callable[[str], str]:
    """A real Python whose torch is a module of ours."""

    def make(torch: str) -> str:
        (tmp_path / "site" / "torch").mkdir(parents=True)
        (tmp_path / "site" / "torch" / "__init__.py").write_text(torch)
        program = tmp_path / "python"
        site = shlex.quote(str(tmp_path / "site"))
        program.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} "$@"\n')
        program.chmod(0o755)
        return str(program)

    return make


_TORCH = """
class version: cuda = "13.0"; hip = None
__version__ = "2.13.0+cu130"
class _C:
    @staticmethod
    def _cuda_getArchFlags(): return "sm_75 sm_80 compute_120"
class cuda:
    @staticmethod
    def is_available(): {available}
"""


def test_what_torch_says_is_read(fake_python: Callable[[str], str]) -> None:
    path = fake_python(_TORCH.format(available="return False"))
    found = ask_interpreter(path, "option")
    assert found.torch_state == "ready"
    assert found.version == sys.version_info[:3]
    assert found.build == TorchBuild(
        "2.13.0+cu130",
        cuda=(13, 0),
        archs=("sm_75", "sm_80", "compute_120"),
        is_available=False,
    )
    assert check_interpreter(found).level == "ok"


@pytest.mark.parametrize(
    ("torch", "state", "message"),
    [
        ("raise OSError('libcudart.so.13: cannot open')", "crashed", "OSError: libcudart.so.13"),
        ("import os; os.kill(os.getpid(), 4)", "crashed", "signal 4"),
        pytest.param("import time; time.sleep(600)", "hung", "", marks=pytest.mark.slow),
        (_TORCH.format(available="import os; os.kill(os.getpid(), 11)"), "cuda crashed", "signal"),
        pytest.param(
            _TORCH.format(available="import time; time.sleep(600)"),
            "cuda hung",
            "",
            marks=pytest.mark.slow,
        ),
        (_TORCH.format(available="raise RuntimeError('no')"), "cuda crashed", "RuntimeError: no"),
        ("print('@@overnight-preflight@@ {]'); import sys; sys.exit(3)", "crashed", "SystemExit"),
    ],
)
def test_a_torch_that_crashes_or_hangs_harms_no_one(
    fake_python: Callable[[str], str], torch: str, state: str, message: str
) -> None:
    limit_s = 10.0 if "hung" in state else 60.0
    found = ask_interpreter(fake_python(torch), "option", timeout_s=limit_s)
    assert found.torch_state == state
    assert message in found.message
    assert found.version == sys.version_info[:3]
    check = check_torch(NONE, found)
    assert check is not None
    assert check.level in {"bad", "unknown"}
    assert check.fix


def test_a_python_without_torch(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    program.chmod(0o755)
    found = ask_interpreter(str(program), "option")
    assert found.torch_state == "absent"
    check = check_torch(ready("580.65.06", V100), found)
    assert check is not None
    assert check.level == "warn"
    assert "--torch-backend=cu126" in check.fix


@pytest.mark.parametrize("text", [None, "#!/bin/sh\nexit 1\n", "not a program", "#!/bin/echo\n"])
def test_what_is_no_python_is_said(tmp_path: Path, text: str | None) -> None:
    program = tmp_path / "python"
    if text is not None:
        program.write_text(text)
        program.chmod(0o755)
    found = ask_interpreter(str(program), "option")
    check = check_interpreter(found)
    assert (check.level, check.code) == ("bad", "broken")
    assert str(program) in check.text
    assert check_torch(NONE, found) is None


def test_an_old_python_is_warned_of() -> None:
    check = check_interpreter(Interpreter("/usr/bin/python3", "own", (3, 8, 10)))
    assert (check.level, check.code) == ("warn", "old")


def test_which_python_a_job_gets(tmp_path: Path) -> None:
    for name in ("venv", "conda"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "python").symlink_to(sys.executable)
    venv, conda = (str(tmp_path / name / "bin" / "python") for name in ("venv", "conda"))
    both = {"VIRTUAL_ENV": str(tmp_path / "venv"), "CONDA_PREFIX": str(tmp_path / "conda")}
    assert job_python(sys.executable, both) == (sys.executable, "option")
    assert job_python(None, both) == (venv, "venv")
    assert job_python(None, {"CONDA_PREFIX": str(tmp_path / "conda")}) == (conda, "conda")
    assert job_python(None, {}) == (sys.executable, "own")
    # An environment that was deleted under an open shell.
    assert job_python(None, {"VIRTUAL_ENV": str(tmp_path / "gone")}) == (sys.executable, "own")


@_any_time
@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=3,
    ).flatmap(
        lambda value: st.fixed_dictionaries(
            {"stage": st.sampled_from(["python", "packages", "torch", "available", "done", 3])},
            optional={
                key: st.just(value) | st.just([3, 11, 7]) | st.just("2.13")
                for key in ("version", "packages", "torch", "cuda", "archs", "available", "devices")
            },
        ).map(lambda known: "@@overnight-preflight@@ " + json.dumps(known))
    ),
    st.sampled_from(["ended", "missing", "timeout"]),
    st.integers(-64, 255),
)
def test_any_output_of_the_child_is_read(stdout: str, outcome: Any, code: int) -> None:
    answer = Answer(outcome, code, stdout, stdout)
    found = read_answer(Interpreter("python", "own"), answer)
    check_interpreter(found).to_json()
    check_torch(NONE, found)


@_any_time
@given(st.text() | st.text(alphabet="0123456789."))
def test_any_version_is_read_or_none(text: str) -> None:
    parse_version(text)
    parse_capability(text)
    parse_cuda(text)


def test_signals_are_named_by_number_as_the_shell_does() -> None:
    answer = Answer(
        "ended",
        -signal.SIGILL,
        "@@overnight-preflight@@ "
        '{"stage": "packages", "version": [3, 12, 1], "packages": ["torch"]}',
        "",
    )
    found = read_answer(Interpreter("python", "own"), answer)
    assert (found.torch_state, found.message) == ("crashed", "signal 4")
