"""Which loops a trial shortens, and which numbers it lowers where it sees none."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.preflight.trial.harmless import environment, senders_in
from overnight.preflight.trial.inside.source import compiled, loops_of
from overnight.preflight.trial.shorten import Plan, plan, script_at

_TRAINS = """
    for images, labels in loader:
        loss = model(images, labels)
        loss.backward()
"""


def _kinds(source: str) -> list[str]:
    return sorted(loops_of(ast.parse(dedent(source))))


def test_epochs_by_name_or_by_what_they_hold() -> None:
    assert _kinds("for epoch in range(20):\n    train()") == ["epoch"]
    assert _kinds("for e in trange(args.num_epochs):\n    train()") == ["epoch"]
    assert _kinds("for 에폭 in range(3):\n    train()") == ["epoch"]
    assert _kinds("for _ in range(20):" + _TRAINS) == ["epoch", "train"]
    assert _kinds(_TRAINS.replace("\n    ", "\n")) == ["train"]


def test_a_bars_caption_is_not_what_it_counts() -> None:
    caption = "for x in tqdm(loader, desc=f'Epoch {epoch}/{EPOCHS}'):\n    f(x).backward()"
    assert _kinds(caption) == ["train"]
    nested = "for epoch in range(len(history) + 1, EPOCHS + 1):\n    "
    assert _kinds(nested + caption.replace("\n", "\n    ")) == ["epoch", "train"]
    assert _kinds("for x in loader.of(epoch):\n    f(x).backward()") == ["train"]


def test_folds_and_preparation_are_run_whole() -> None:
    folds = "for fold in range(5):\n    for epoch in range(20):\n        train()\n    save(fold)"
    assert _kinds(folds) == ["epoch"]
    deep = "for k in range(5):\n    for _ in range(9):\n" + _TRAINS.replace("\n", "\n    ")
    assert _kinds(deep) == ["epoch", "train"]
    assert _kinds("for path in paths:\n    images.append(read(path))") == []
    assert _kinds("while step < 9:" + _TRAINS.replace("\n", "\n    ")) == []
    assert _kinds("with torch.no_grad():\n    for x in loader:\n        model(x)") == []


def _plan(tmp_path: Path, source: str, *args: str) -> Plan:
    script = tmp_path / "train.py"
    script.write_text(dedent(source))
    return plan([sys.executable, str(script), *args])


def test_a_seen_loop_needs_no_lowered_number(tmp_path: Path) -> None:
    assert _plan(tmp_path, "EPOCHS = 20\nfor epoch in range(EPOCHS):\n    f()").epochs is None
    assert (
        _plan(tmp_path, "from transformers import Trainer", "--num_train_epochs", "3").epochs
        is None
    )
    (tmp_path / "engine.py").write_text("def fit(n):\n    for epoch in range(n):\n        f()")
    assert _plan(tmp_path, "from engine import fit\nfit(20)").epochs is None


_BLIND = "import framework\nframework.fit('config.yaml')"


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        (["--epochs", "20"], ["--epochs", "1"]),
        (["--num_train_epochs=3.0"], ["--num_train_epochs=1"]),
        (["--max-epochs", "8", "--lr", "0.1"], ["--max-epochs", "1", "--lr", "0.1"]),
        (["trainer.max_epochs=50"], ["trainer.max_epochs=1"]),
        (["--n_epochs=7"], ["--n_epochs=1"]),
    ],
)
def test_known_flags_are_lowered(tmp_path: Path, args: list[str], changed: list[str]) -> None:
    made = _plan(tmp_path, _BLIND, *args)
    argv = [sys.executable, "train.py", *args]
    assert made.argv_with(argv, 1)[2:] == changed
    assert made.epochs is not None
    assert made.epochs >= 3


def test_what_only_looks_like_epochs_is_left_alone(tmp_path: Path) -> None:
    for args in (["--epochs-dir", "20"], ["--epochs", "many"], ["--warmup", "5"], ["--epochs"]):
        assert _plan(tmp_path, _BLIND, *args).epochs is None


def test_declared_options_and_constants(tmp_path: Path) -> None:
    declared = _plan(
        tmp_path,
        """
        import argparse, framework
        parser = argparse.ArgumentParser()
        parser.add_argument("-e", "--epochs", type=int, default=30)
        framework.fit(parser.parse_args().epochs)
        """,
    )
    assert declared.epochs == 30
    assert declared.argv_with(["python", "train.py"], 2)[2:] == ["--epochs", "2"]
    for source in ("EPOCHS = 12\nf(EPOCHS)", "class CFG:\n    epochs: int = 12", "f(epochs=12)"):
        made = _plan(tmp_path, source)
        assert made.epochs == 12
        assert made.argv_with(["python", "train.py"], 1) == ["python", "train.py"]


def test_a_constant_is_lowered_without_touching_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = b"class CFG:\n    epochs = 12\nEPOCHS = 12\nok = True\n"
    source += b"def f(epochs): return epochs\nx = f(epochs=9)\n"
    for name, expected in (("epochs", (1, 12, 1)), ("EPOCHS", (12, 1, 9))):
        monkeypatch.setenv("OVERNIGHT_TRIAL_SET", name + "=1")
        space: dict[str, object] = {}
        exec(compiled(source, str(tmp_path / "t.py")), space)
        assert (space["CFG"].epochs, space["EPOCHS"], space["x"]) == expected  # type: ignore[attr-defined]
        assert space["ok"] is True


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    source = b"\n\nfor epoch in range(3):\n    pass\n\nraise ValueError('here')\n"
    with pytest.raises(ValueError, match="here") as caught:
        exec(compiled(source, "t.py"), {})
    assert caught.traceback[-1].lineno == 5  # counted from 0


@pytest.mark.parametrize(
    ("argv", "at"),
    [
        (["/venv/bin/python", "train.py"], 1),
        (["python3.11", "-u", "train.py", "--epochs", "3"], 2),
        (["python", "-m", "pkg.train"], None),
        (["python", "-W", "ignore", "train.py"], None),
        (["torchrun", "train.py"], None),
        (["make", "train"], None),
        ([], None),
    ],
)
def test_where_the_script_stands(argv: list[str], at: int | None) -> None:
    assert script_at(argv) == at


@given(source=st.text(max_size=200), args=st.lists(st.text(max_size=20), max_size=5))
def test_any_source_and_words_give_a_plan(source: str, args: list[str]) -> None:
    argv = [sys.executable, "", *args]
    made = plan(argv, source or " ")
    assert len(made.argv_with(argv, 1)) >= len(argv)


def test_trackers_are_off_and_what_cannot_be_is_named(tmp_path: Path) -> None:
    env = environment({"WANDB_MODE": "online", "PATH": "/bin"}, str(tmp_path))
    assert env["WANDB_MODE"] == "disabled"
    assert env["MLFLOW_TRACKING_URI"].startswith("file:" + str(tmp_path))
    assert env["PATH"] == "/bin"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ('import mlflow\nmlflow.set_tracking_uri("http://gpu01:5000")', "MLflow"),
        ("import mlflow\nmlflow.set_tracking_uri(cfg.uri)", "MLflow"),
        ("import requests\nrequests.post(url)", "requests"),
        ("import requests\ns = requests.Session()\ns.post(hook, json={})", "requests"),
        ("import requests\nrequests.Session().put(url)", "requests"),
        ("import requests\nrequests.request('POST', url)", "requests"),
        ("from urllib.request import urlopen\nurlopen(hook, data=b'x')", "urllib"),
        ("from openai import OpenAI\nOpenAI().chat", "openai"),
        ("from google.cloud import storage", "google.cloud"),
        ("f(f'https://api.telegram.org/bot{token}/sendMessage?text=x')", "api.telegram.org"),
        ("subprocess.run(['sbatch', 'next.sh'])", "sbatch"),
        ("os.system('git push origin main')", "git push"),
        ("import wandb\nwandb.init(mode='online')", "W&B"),
        ("set -e\npython train.py && rsync -a out/ gpu02:out/", "rsync"),
    ],
)
def test_what_sends_is_found(source: str, what: str) -> None:
    assert senders_in({"train.py": "", "loop.py": source}) == {what: "loop.py"}


@pytest.mark.parametrize(
    "source",
    [
        "import requests\nrequests.get(url)\nqueue.put(1)\nrequests.request('GET', url)",
        "import wandb\nwandb.init()\nwandb.init(mode='offline')",
        "mlflow.set_tracking_uri('file:mlruns')\nmlflow.set_tracking_uri('sqlite:///m.db')",
        '"""Start me with sbatch train.sh."""\n# requests.post\nprint("rsync")',
        "from urllib.request import urlopen\nurlopen('http://x/train.csv')",
        "import requests\nif not os.environ.get('OVERNIGHT_TRIAL'):\n    requests.post(hook)",
    ],
)
def test_what_does_not_send_is_left_alone(source: str) -> None:
    assert senders_in({"train.py": source}) == {}


def test_modules_of_the_jobs_own_are_looked_through(tmp_path: Path) -> None:
    package = tmp_path / "lib"
    package.mkdir()
    (package / "__init__.py").write_text("from .loop import fit\n")
    (package / "loop.py").write_text("import smtplib\nfor epoch in range(9):\n    f()\n")
    made = _plan(tmp_path, "import lib\nlib.fit(epochs=9)")
    assert set(made.sources) == {"train.py", "__init__.py", "loop.py"}
    assert made.epochs is None
    (tmp_path / "go.sh").write_text("sbatch next.sh\n")
    assert senders_in(plan(["bash", "go.sh"], cwd=str(tmp_path)).sources) == {"sbatch": "go.sh"}
