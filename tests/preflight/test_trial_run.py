"""Whole trials: the real job, shortened, watched by the kernel, read back and undone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

if sys.platform == "win32":
    pytest.skip("trials are made on Linux and macOS", allow_module_level=True)

from overnight.notebook import convert
from overnight.preflight.trial import Moment, TrialAsked, TrialResult, run, seccomp

_SRC = str(Path(__file__).parents[2] / "src")
_DEMO = Path(__file__).parents[2] / "examples" / "digits.ipynb"

needs_the_kernel = pytest.mark.skipif(
    not seccomp.is_supported(), reason="needs Linux 5.5 or later on x86-64 or ARM64"
)
Try = Callable[..., TrialResult]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "the job's folder"
    folder.mkdir()
    return folder


@pytest.fixture
def try_(work: Path) -> Try:
    """Writes a script and tries it."""

    def asked(source: str, *args: str, **options: object) -> TrialResult:
        script = work / "train.py"
        script.write_text(dedent(source))
        argv = [sys.executable, str(script), *args]
        given = TrialAsked("script", argv, str(work), dict(os.environ), **options)  # type: ignore[arg-type]
        return run(given)

    return asked


def _files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "train.py"
    }


def _codes(result: TrialResult) -> dict[str, str]:
    """Name and code of each finding → its level."""
    return {f"{each.name}.{each.code}": each.level for each in result.findings}


_RESULTS = """
import os, shutil, sqlite3, subprocess
shutil.rmtree("outputs", ignore_errors=True)
os.makedirs("outputs/ckpt")
open("outputs/model.bin", "wb").write(b"new")
open("predictions.csv", "w").write("ID,target\\n1,2\\n")
open("log.txt", "a").write("one more line\\n")
os.replace("predictions.csv", "submission.csv")
sqlite3.connect("runs.db").execute("create table if not exists t (x)").connection.commit()
# Not Python: a copy, a shell's redirection, a tool that removes.
subprocess.run("cp log.txt best.pt; echo x > notes.md; rm -f old.ckpt; mv best.pt final.pt; "
               "dd if=/dev/zero of=table.npy bs=1 count=9 2>/dev/null", shell=True, check=True)
"""


@needs_the_kernel
def test_last_nights_results_are_as_they_were(work: Path, try_: Try) -> None:
    (work / "outputs" / "ckpt").mkdir(parents=True)
    for name in [
        "outputs/model.bin", "outputs/ckpt/9.pt", "predictions.csv", "submission.csv", "log.txt",
        "best.pt", "final.pt", "notes.md", "old.ckpt", "table.npy",
    ]:  # fmt: skip
        (work / name).write_text("last night's " + name)
        os.utime(work / name, (1_700_000_000, 1_700_000_000))
    before = _files(work)
    result = try_(_RESULTS)
    assert _codes(result)["run.ended_whole"] == "ok"
    assert _codes(result)["untouched.as_before"] == "ok"
    assert _files(work) == before
    assert not (work / "runs.db").exists()
    assert {path.name for path in work.iterdir() if path.name.startswith(".")} == set()


@needs_the_kernel
def test_keep_leaves_what_is_new(work: Path, try_: Try) -> None:
    (work / "final.pt").write_text("last night's")
    try_('open("final.pt", "w").write("x"); open("new.txt", "w").write("y")', keep=True)
    assert (work / "final.pt").read_text() == "last night's"
    assert (work / "new.txt").read_text() == "y"


@pytest.mark.slow
def test_without_the_kernels_help_python_and_torch_are_watched(
    work: Path, try_: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "is_supported", lambda: False)
    (work / "outputs").mkdir()
    for name in ("model.pt", "predictions.csv", "outputs/9.ckpt"):
        (work / name).write_text("last night's " + name)
    before = _files(work)
    result = try_(
        """
        import shutil, torch
        torch.save({"w": torch.ones(3)}, "model.pt")
        open("predictions.csv", "w").write("ID,target\\n1,2\\n")
        shutil.rmtree("outputs")
        open("new.json", "w").write("{}")
        """
    )
    assert _codes(result)["untouched.python_only"] == "warn"
    assert _codes(result)["outputs.read"] == "ok"
    assert _files(work) == before


def test_where_no_loop_is_seen_its_number_is_lowered(work: Path, try_: Try) -> None:
    result = try_(
        """
        import argparse, time
        parser = argparse.ArgumentParser()
        parser.add_argument("--epochs", type=int, default=300)
        epochs = parser.parse_args().epochs
        done = 0
        while done < epochs:
            time.sleep(0.5)
            done += 1
        open("told.csv", "w").write("a\\n1\\n")
        """,
        "--epochs",
        "200",
    )
    assert result.ranges is not None
    assert result.ranges.duration_s is not None
    low, high = result.ranges.duration_s
    assert low < 2 * 100
    assert high > 90
    assert [each.code for each in result.shortened][0] == "epochs_lowered"
    assert _codes(result)["run.ended"] == "ok"
    assert list(work.iterdir()) == [work / "train.py"]


_EPOCHS = """
import os, time
EPOCHS = 40
os.makedirs("out", exist_ok=True)
time.sleep(0.3)
for epoch in range(EPOCHS):
    end = time.monotonic() + 2.6
    while time.monotonic() < end:
        time.sleep(0.01)
    print(f"epoch {epoch + 1}/{EPOCHS} loss {1 / (epoch + 1)}")
    open(f"out/{epoch}.bin", "wb").write(bytes(2**20))
    if epoch == EPOCHS - 1:
        open("out/final.csv", "w").write("a,b\\n1,2\\n")
"""


@pytest.mark.slow
def test_epochs_are_left_out_and_the_end_is_seen(work: Path, try_: Try) -> None:
    result = try_(_EPOCHS)
    ranges = result.ranges
    assert ranges is not None
    assert ranges.duration_s is not None
    assert ranges.duration_s[0] < 0.3 + 40 * 2.6 < ranges.duration_s[1]
    assert ranges.peak_ram_mib is not None
    assert ranges.disk_mib is not None
    assert ranges.disk_mib[0] < 10 < 39 < ranges.disk_mib[1] < 45
    (loop,) = (each for each in result.shortened if each.code == "turns_left_out")
    assert loop.fields["site"] == "train.py:6"
    assert loop.fields["total"] == 40
    read = next(each for each in result.findings if each.code == "read")
    assert "final.csv" in str(read.fields["names"])
    assert list(work.iterdir()) == [work / "train.py"]


@pytest.mark.slow
def test_loaders_of_torch_are_cut_where_they_train(try_: Try) -> None:
    result = try_(
        """
        import time, torch
        from torch.utils.data import DataLoader, Dataset

        class Slow(Dataset):
            def __len__(self): return 20_000
            def __getitem__(self, i):
                time.sleep(0.01)
                return torch.tensor([float(i)]), torch.tensor(1.0)

        class Few(Slow):
            def __len__(self): return 40

        train = DataLoader(Slow(), 10, num_workers=1)
        valid = DataLoader(Few(), 10)
        weight = torch.zeros(1, requires_grad=True)
        epoch = 0
        while epoch < 2:  # a loop that is not seen
            for x, y in train:
                ((weight - y) ** 2).mean().backward()
            with torch.no_grad():
                found = torch.cat([x for x, _ in valid])
            assert len(found) == 40
            epoch += 1
        torch.save({"w": weight.detach()}, "model.pt")
        """,
    )
    assert _codes(result)["outputs.read"] == "ok"
    assert result.ranges is not None
    assert result.ranges.duration_s is not None
    low, high = result.ranges.duration_s
    assert low < 3 * 2 * 20_000 * 0.01
    assert high > 2 * 20_000 * 0.01
    assert {each.code for each in result.shortened} >= {"turns_left_out"}


@pytest.mark.slow
def test_a_trainer_of_transformers(try_: Try) -> None:
    source = (Path(__file__).parents[1] / "supervisor" / "trainings" / "hf_trainer.py").read_text()
    longer = source.replace("num_train_epochs=4", "num_train_epochs=300")
    assert longer != source
    result = try_(longer)
    assert result.ranges is not None
    assert result.ranges.duration_s is not None
    assert result.ranges.duration_s[0] > 3 * result.took_s
    sites = [each.fields["site"] for each in result.shortened if "site" in each.fields]
    assert "Trainer epochs" in sites


@pytest.mark.slow
def test_the_demo_notebook(work: Path) -> None:
    notebook = work / "digits.ipynb"
    shutil.copyfile(_DEMO, notebook)
    converted = convert(notebook)
    (work / "beside.py").write_text("")
    moments: list[Moment] = []
    result = run(
        TrialAsked(
            "notebook", [sys.executable, ""], str(work), dict(os.environ), "digits",
            "import beside\n" + converted.source,
        ),
        moments.append,
    )  # fmt: skip
    codes = _codes(result)
    assert codes["outputs.read"] == "ok"
    assert not {"bad", "warn"} & set(codes.values())
    assert result.ranges is not None
    assert result.ranges.duration_s is not None
    assert {each.phase for each in moments} == {"starting", "running", "reading"}
    assert {each.name for each in work.iterdir()} <= {"digits.ipynb", "beside.py", "__pycache__"}


def test_a_failure_is_told_with_its_line(try_: Try) -> None:
    result = try_("import json\n\nopen('no/such/folder/model.pt', 'w')\n")
    failed = next(each for each in result.findings if each.name == "run")
    assert (failed.level, failed.code) == ("bad", "failed")
    assert failed.where == "train.py:3"
    assert "no/such/folder" in failed.text
    assert result.ranges is not None
    assert result.ranges.why_unknown == "failed"


def test_a_notebooks_failure_is_told_with_its_cell(work: Path) -> None:
    cells = ["x = 1", "y = 2\nprint(z_undefined_until_now)"]
    notebook = {
        "cells": [{"cell_type": "code", "source": each, "metadata": {}, "outputs": [],
                   "execution_count": None} for each in cells],
        "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (work / "n.ipynb").write_text(json.dumps(notebook))
    source = convert(work / "n.ipynb").source
    argv = [sys.executable, ""]
    result = run(TrialAsked("notebook", argv, str(work), dict(os.environ), "n", source))
    failed = next(each for each in result.findings if each.name == "run")
    assert (failed.code, failed.where) == ("failed", "2:2")


def test_the_script_is_what_python_would_make_of_it(work: Path, try_: Try) -> None:
    (work / "beside.py").write_text("NUMBER = 7\n")
    (work / "sitecustomize.py").write_text("raise SystemExit('not this one')\n")
    (work / "sitecustomize.py").unlink()
    result = try_(
        """
        from __future__ import annotations
        import sys, os, multiprocessing
        import beside
        def double(x): return 2 * x
        if __name__ == "__main__":
            assert sys.argv[1:] == ["--lr", "0.1"], sys.argv
            assert os.path.basename(sys.argv[0]) == os.path.basename(__file__) == "train.py"
            assert sys.path[0] == os.path.dirname(__file__)
            assert sys.modules["__main__"].double is double
            assert not [n for n in globals() if "overnight" in n.lower() or n == "run"], globals()
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                assert pool.map(double, [beside.NUMBER]) == [14]
            assert os.environ["WANDB_MODE"] == "disabled"
        """,
        "--lr",
        "0.1",
    )
    assert _codes(result)["run.ended_whole"] == "ok", result.findings


def test_broken_and_empty_results_are_told(try_: Try) -> None:
    result = try_(
        """
        for epoch in range(3): pass
        open("model.safetensors", "w").write("{}")
        open("predictions.csv", "w").write("ID,target\\n")
        """,
    )
    codes = _codes(result)
    assert codes["outputs.broken"] == "bad"
    assert codes["outputs.empty"] == "warn"


def test_training_that_leaves_nothing_is_told(try_: Try) -> None:
    nothing = _codes(try_("for epoch in range(3):\n    print(epoch)\n"))
    assert nothing["outputs.none"] == "bad"
    later = try_("for epoch in range(3):\n    if epoch > 5:\n        torch.save(m, 'm.pt')\n")
    assert _codes(later)["outputs.none_here"] == "unknown"
    no_training = _codes(try_("print('ok')"))
    assert not any(name.startswith("outputs") for name in no_training)


def test_nan_is_told(try_: Try) -> None:
    codes = _codes(try_("for epoch in range(3):\n    print(f'epoch {epoch + 1}/3 loss nan')\n"))
    assert codes["loss.nonfinite"] == "warn"


@pytest.mark.slow
def test_an_error_that_shortening_may_have_made_is_no_verdict(try_: Try) -> None:
    result = try_(
        """
        import time
        predictions = []
        for epoch in range(100):
            time.sleep(16 if epoch == 0 else 0.1)
            predictions.append(epoch)
        assert len(predictions) == 100, f"length {len(predictions)} of predictions"
        """,
    )
    failed = next(each for each in result.findings if each.name == "run")
    assert (failed.level, failed.code) == ("unknown", "failed_cut")


@pytest.mark.slow
def test_the_time_limit_keeps_what_was_learned(work: Path, try_: Try) -> None:
    result = try_(
        """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
        for epoch in range(50):
            for i in range(1000):
                time.sleep(0.01)
            print("epoch", epoch)
        """,
        time_limit_s=6.0,
    )
    assert _codes(result)["run.limit"] == "unknown"
    assert result.ranges is not None
    assert result.ranges.duration_s is not None
    low, high = result.ranges.duration_s
    # On a busy machine a sleep takes longer than it was told.
    assert low < 3 * 50 * 1000 * 0.01
    assert high > 50 * 1000 * 0.01
    assert _left_of_the_trial(work) == set()


def _left_of_the_trial(work: Path) -> set[int]:
    """Processes that still carry the trial's marks."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if b"OVERNIGHT_TRIAL_DIR=" in path.read_bytes() and (
                os.fsencode(str(work.parent)) in path.read_bytes()
            ):
                found.add(int(path.parent.name))
    return found


_CHECK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from overnight.preflight.trial import TrialAsked, run
run(TrialAsked("script", [sys.executable, sys.argv[2]], os.getcwd(), dict(os.environ)))
"""
_LONG = """
import time
open("model.pt", "w").write("new")
open("begun", "w").close()
time.sleep(600)
"""


@pytest.fixture
def checking(work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A check whose job has written over last night's model and goes on."""
    (work / "model.pt").write_text("last night's")
    (work / "train.py").write_text(_LONG)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHECK, _SRC, str(work / "train.py")], cwd=work,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not (work / "begun").exists():
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    yield child
    child.kill()
    child.wait()


@needs_the_kernel
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_check_that_is_left_puts_everything_back(
    number: signal.Signals, checking: subprocess.Popen[bytes], work: Path
) -> None:
    assert (work / "model.pt").read_text() == "new"
    checking.send_signal(number)
    checking.wait(60)
    assert (work / "model.pt").read_text() == "last night's"
    assert not (work / "begun").exists()
    assert _left_of_the_trial(work) == set()


@needs_the_kernel
def test_a_check_that_was_killed_is_undone_by_the_next(
    checking: subprocess.Popen[bytes], work: Path, try_: Try
) -> None:
    checking.kill()
    checking.wait(60)
    until = time.monotonic() + 60
    while _left_of_the_trial(work):  # the job dies with the check
        assert time.monotonic() < until
        time.sleep(0.02)
    assert (work / "model.pt").read_text() == "new"
    try_("print('another job')")
    assert (work / "model.pt").read_text() == "last night's"
    assert not (work / "begun").exists()
