"""Whole trials: the real job, shortened, watched by the kernel, read back and undone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import ClassVar

import pytest

if sys.platform == "win32":
    pytest.skip("trials are made on Linux and macOS", allow_module_level=True)

from overnight.errors import UserErrors
from overnight.notebook import convert
from overnight.preflight.trial import (
    Moment,
    Ranges,
    TrialAsked,
    TrialResult,
    run,
    seccomp,
    shorten,
    tell,
)
from overnight.start import Asked, start

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


@needs_the_kernel
def test_what_cannot_be_put_aside_is_not_written_to(work: Path) -> None:
    (work / "table.h5").write_bytes(b"last night's" + bytes(2_000_000))
    before = _files(work)
    (work / "train.py").write_text(_LARGE)
    done = subprocess.run(
        [sys.executable, "-c", _CHECK_FULL_DISK, _SRC, str(work / "train.py")], cwd=work,
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    codes = json.loads(done.stdout)
    assert codes["untouched.refused"] == "warn"
    assert codes["run.failed_refused"] == "unknown"
    assert _files(work) == before


_LARGE = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with open("table.h5", "r+b") as file:
    file.write(b"the trial's")
"""
#: A file may have no more than 1 MB: as on a disk that is almost full.
_CHECK_FULL_DISK = """
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
sys.path.insert(0, sys.argv[1])
from overnight.preflight.trial import TrialAsked, run
found = run(TrialAsked("script", [sys.executable, sys.argv[2]], os.getcwd(), dict(os.environ)))
print(json.dumps({f"{each.name}.{each.code}": each.level for each in found.findings}))
"""


def test_what_sends_is_tried_only_if_asked(work: Path, try_: Try) -> None:
    (work / "tell.py").write_text("import smtplib\n")
    script = "import tell\nopen('ran', 'w').close()\n"
    result = try_(script)
    assert _codes(result) == {"sent.not_tried": "unknown"}
    assert "smtplib (tell.py)" in result.findings[0].text
    assert result.ranges is None
    assert not (work / "ran").exists()
    allowed = _codes(try_(script, may_send=True))
    assert (allowed["run.ended_whole"], allowed["sent.may_have"]) == ("ok", "warn")


class _Hub(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def answer(self) -> None:
        self.asked.append(self.path)
        self.send_error(500)

    def log_message(self, *_: object) -> None:
        pass


for _verb in ("GET", "POST", "PUT", "DELETE", "HEAD"):
    setattr(_Hub, "do_" + _verb, _Hub.answer)


@pytest.mark.slow
def test_nothing_reaches_the_hub(try_: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    result = try_(
        """
        import huggingface_hub as hub
        from huggingface_hub import HfApi, create_commit, create_repo, upload_folder
        repo = create_repo("me/model", exist_ok=True, token="x")
        assert repo.repo_id == "me/model"
        done = upload_folder(repo_id=repo.repo_id, folder_path=".", token="x")
        assert done.repo_url.repo_id == "me/model", done
        assert create_commit("me/model", [], commit_message="m", token="x").commit_message == "m"
        told = hub.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="me/set",
                               repo_type="dataset", run_as_future=True, token="x")
        assert told.result().repo_url.repo_type == "dataset"
        api = HfApi(token="x")
        api.delete_file("x", "me/model")
        api.create_branch("me/model", branch="b")
        hub.create_tag("me/model", tag="t", token="x")
        hub.delete_repo("me/model", token="x")
        """
    )
    server.shutdown()
    server.server_close()
    assert _Hub.asked == []
    assert _codes(result)["run.ended_whole"] == "ok", result.findings
    assert "not_pushed" in {each.code for each in result.shortened}


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
            time.sleep(1)
            done += 1
        open("told.csv", "w").write("a\\n1\\n")
        """,
        "--epochs",
        "200",
    )
    assert result.ranges is not None
    assert result.ranges.duration_s is not None
    low, high = result.ranges.duration_s
    assert low < 2 * 200
    assert high > 100
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
        from tqdm import tqdm

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
        def step(y):
            ((weight - y) ** 2).mean().backward()

        def train_once():
            for x, y in tqdm(train):  # that it trains is seen as it does
                step(y)

        def told(loader):  # no torch.no_grad() here: it asks for no gradients all the same
            found = []
            for x, _ in loader:
                found.append(x)
            return torch.cat(found)

        class Endless(DataLoader):  # as timm's and ultralytics' are
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.each = super().__iter__()
            def __iter__(self):
                for _ in range(len(self)):
                    yield next(self.each)

        for epoch in range(2):
            train_once()
            assert len(told(valid)) == 40
        for x, y in Endless(Slow(), 10):
            step(y)
        batches = iter(valid)
        for i in range(len(valid)):
            step(next(batches)[1])
        torch.save({"w": weight.detach()}, "model.pt")
        """,
    )
    assert _codes(result)["outputs.read"] == "ok"
    assert result.ranges is not None
    assert result.ranges.duration_s is not None
    low, high = result.ranges.duration_s
    assert low < 3 * 3 * 20_000 * 0.01
    assert high > 3 * 20_000 * 0.01
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


def test_training_that_leaves_nothing_is_told(work: Path, try_: Try) -> None:
    nothing = _codes(try_("for epoch in range(3):\n    print(epoch)\n"))
    assert nothing["outputs.none"] == "warn"
    later = try_("for epoch in range(3):\n    if epoch > 5:\n        torch.save(m, 'm.pt')\n")
    assert _codes(later)["outputs.none_here"] == "unknown"
    (work / "beside.py").write_text("def keep(m):\n    if m:\n        m.save('m.pt')\n")
    beside = try_("from beside import keep\nfor epoch in range(3):\n    keep(None)\n")
    assert _codes(beside)["outputs.none_here"] == "unknown"
    other = _codes(try_("for epoch in range(3):\n    pass\nopen('m.model', 'w').write('tree')"))
    assert not any(name.startswith("outputs") for name in other)
    no_training = _codes(try_("print('ok')"))
    assert not any(name.startswith("outputs") for name in no_training)


def test_nan_is_told(try_: Try) -> None:
    codes = _codes(try_("for epoch in range(3):\n    print(f'epoch {epoch + 1}/3 loss nan')\n"))
    assert codes["loss.nonfinite"] == "warn"


def test_a_lowered_number_may_be_what_fails(try_: Try) -> None:
    codes = _codes(try_("EPOCHS = 20\nwarm_up = 1 / (EPOCHS - 1)\n"))
    assert codes["run.failed_cut"] == "unknown"
    whole = _codes(try_("warm_up = 1 / 0\n"))
    assert whole["run.failed"] == "bad"


def test_half_a_file_of_a_trial_that_failed_is_no_fault(try_: Try) -> None:
    codes = _codes(try_("open('m.safetensors', 'w').write('{}')\nopen('e.pt', 'w')\n1 / 0\n"))
    assert "run.failed" in codes
    assert not any(name.startswith("outputs") for name in codes)


@pytest.mark.slow
def test_an_error_that_shortening_may_have_made_is_no_verdict(try_: Try) -> None:
    result = try_(
        """
        import time
        predictions = []
        for epoch in range(100):
            time.sleep(16 if epoch == 0 else 0.1)
            predictions.append(epoch)
        print({epoch: 0.9 for epoch in predictions}[57])
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
    assert result.ranges.disk_mib is None


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


@needs_the_kernel
def test_a_killed_check_is_undone_before_a_run_starts(
    checking: subprocess.Popen[bytes], work: Path
) -> None:
    checking.kill()
    checking.wait(60)
    with pytest.raises(UserErrors):
        start(Asked(target=str(work / "no_such.py")))
    assert (work / "model.pt").read_text() == "last night's"


@needs_the_kernel
def test_what_a_run_wrote_after_a_killed_check_is_its_own(
    checking: subprocess.Popen[bytes], work: Path, try_: Try
) -> None:
    checking.kill()
    checking.wait(60)
    until = time.monotonic() + 60
    while _left_of_the_trial(work):
        assert time.monotonic() < until
        time.sleep(0.02)
    (trial,) = (each for each in (work.parent / "state").rglob("journal"))
    an_hour_ago = time.time() - 3600
    os.utime(trial, (an_hour_ago, an_hour_ago))
    (work / "model.pt").write_text("the night's work")
    told = next(each for each in try_("print('another')").findings if each.code == "left")
    assert str(trial.parent) in told.fix
    assert (work / "model.pt").read_text() == "the night's work"
    assert "left" not in {each.code for each in try_("print('another')").findings}
    assert (trial.parent / "journal").exists()


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup").write_text("0::/job\n")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "memory.max").write_text(str(100 << 20))
    monkeypatch.setattr(tell, "_PROC_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(tell, "_CGROUPS", tmp_path)
    need = Ranges(peak_ram_mib=(150.0, 200.0))
    asked = TrialAsked("script", ["python"], str(tmp_path), {})
    levels = {
        each.name: each.level for each in tell.findings(asked, shorten.Plan(), tell.Trial(), need)
    }
    assert levels["memory"] == ("bad" if sys.platform == "linux" else None)
