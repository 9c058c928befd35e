"""What cannot be run is refused before anything starts: exit 2, three lines each, nothing left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from overnight.ledger.state import Finished
from overnight.messages import run as sentences


def _notebook(path: Path, source: str) -> Path:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [],
            "execution_count": None, "source": source}  # fmt: skip
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]})
    )
    return path


def _refused(workplace, *words: object, keys: tuple[str, ...], **how) -> str:
    """Runs it; sees that it says just these mistakes, and that nothing has come of it."""
    before = set(workplace.root.rglob("*"))
    done = workplace.overnight("run", *words, **how)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    heads = [line for line in lines if line.startswith("error: ")]
    assert len(heads) == len(keys), done.stderr
    for key, head in zip(keys, heads, strict=True):
        for part in sentences.EN[f"run.{key}"].split("{")[0].split("}"):
            assert part in head, (key, head)
    for at, line in enumerate(lines):
        if line.startswith("error: ") and keys != ("nothing",):
            assert lines[at + 1].startswith("  where: "), done.stderr
            assert lines[at + 2].startswith("  fix:   "), done.stderr
    assert "Traceback" not in done.stderr
    assert workplace.processes() == set()
    assert workplace.runs() == []
    assert [path for path in set(workplace.root.rglob("*")) - before if path.is_file()] == []
    return done.stderr


@pytest.fixture
def script(workplace) -> Path:
    return workplace.script("print('hello')", "train.py")


def test_nothing_to_run(workplace) -> None:
    _refused(workplace, "--name", "x", keys=("nothing",))
    _refused(workplace, "--", keys=("nothing",))


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["nowhere.py"], "no_such_file"),
        (["trian.py", "--lr", "3"], "no_such_file_near"),
        (["nowhere.ipynb", "--set", "A=1"], "no_such_file"),
        (["deep/nowhere.ipynb"], "no_such_file"),
        (["."], "is_folder"),
        (["notes.txt", "--lr", "3"], "unknown_target"),
        (["train.py", "--set", "EPOCHS=3"], "set_on_script"),
        (["train.py", "--map", "nonsense"], "pair_form"),
        (["train.py", "--stall-after", "soon"], "span_form"),
        (["train.py", "--stall-after", "0s"], "span_form"),
        (["train.py", "--stall-after", "-5m"], "span_form"),
        (["train.py", "--kind", "party"], "kind_form"),
        (["train.py", "--json", "--follow"], "json_and_follow"),
        (["train.py", "--name", ""], "name_empty"),
        (["train.py", "--name", "  "], "name_empty"),
        (["train.py", "--name", "two\nlines"], "name_control"),
        (["train.py", "--name", "\x1b[31mred"], "name_control"),
        (["train.py", "--name", "a\u202eb"], "name_control"),
        (["train.py", "--name", "../up"], "name_path"),
        (["train.py", "--name", "a/b"], "name_path"),
        (["train.py", "--name", "a\\b"], "name_path"),
        (["train.py", "--name", "."], "name_path"),
        (["train.py", "--name", "-x"], "name_dash"),
        (["train.py", "--name", "x" * 300], "name_long"),
        (["train.py", "--name", "가" * 60], "name_long"),
        (["train.py", "--env", "=x"], "env_form"),
        (["train.py", "--env", "NOT_THERE"], "env_missing"),
        (["train.py", "--env", "HF_TOKEN=hf_abcdefghijk"], "env_secret"),
        (["train.py", "--python", "/no/such/python"], "no_such_python"),
        (["train.py", "--python", "."], "no_such_python"),
        (["--", "no-such-command-anywhere", "x"], "no_such_command"),
        (["--", "./notes.txt"], "not_executable"),
        (["--", "./broken"], "cannot_start"),
        (["--", "./no-interpreter"], "cannot_start"),
        (["train.py", "--root", "notes.txt/below"], "root_unwritable"),
    ],
)  # fmt: skip
def test_each_mistake(workplace, script, words: list[str], key: str) -> None:
    workplace.script("just text", "notes.txt")
    for name, text in (("broken", "\x7fELF nothing"), ("no-interpreter", "#!/no/such/shell\n")):
        workplace.script(text, name).chmod(0o755)
    said = _refused(workplace, *words, keys=(key,))
    assert "hf_abcdefghijk" not in said


def test_several_mistakes_are_told_at_once(workplace, script) -> None:
    _refused(
        workplace, script, "--name", "../x", "--set", "A=1", "--env", "MISSING",
        "--python", "/no/py", "--stall-after", "never", "--root", script / "below",
        keys=("span_form", "name_path", "set_on_script", "env_missing", "no_such_python",
              "root_unwritable"),
    )  # fmt: skip


def test_a_notebook_that_would_wait_for_an_answer(workplace) -> None:
    path = _notebook(workplace.root / "nb.ipynb", "name = input('who? ')")
    said = _refused(workplace, path, keys=("notebook_blocks",))
    assert "cell 1" in said


def test_a_notebook_that_is_none(workplace) -> None:
    path = workplace.root / "nb.ipynb"
    for text in ("", "{", "[]", '{"cells": 3}', "\0"):
        path.write_text(text)
        done = workplace.overnight("run", path)
        assert done.returncode == 2, (text, done.stderr)
        assert "Traceback" not in done.stderr
        assert workplace.runs() == []


def test_a_secret_is_not_set_into_a_notebook(workplace) -> None:
    path = _notebook(workplace.root / "nb.ipynb", "TOKEN = ''\nprint(len(TOKEN))")
    secret = "a-very-secret-value"
    said = _refused(
        workplace, path, "--set", f"TOKEN='{secret}'", keys=("set_secret",),
        env={"MY_TOKEN": secret},
    )  # fmt: skip
    assert secret not in said


def test_an_option_nobody_knows_before_the_target(workplace, script) -> None:
    for words in (["--nmae", "x", script], ["-x", script], ["--restart", "many", script],
                  ["--restart", "-1", script], [script, "--restart"]):  # fmt: skip
        done = workplace.overnight("run", *words)
        assert done.returncode == 2, words
        assert len(done.stderr.splitlines()) == 3, done.stderr
        assert workplace.runs() == []
    near = workplace.overnight("run", "--nmae", "x", script)
    assert "--name" in near.stderr


def test_in_korean_too(workplace, script) -> None:
    done = workplace.overnight("run", script, "--name", "../x", env={"LANG": "ko_KR.UTF-8"})
    assert done.returncode == 2
    assert done.stderr.startswith("오류: ")
    assert len(done.stderr.splitlines()) == 3


#: Takes from root what lets it read and write everything, so that permissions count for it too.
_AS_ANYBODY = (
    ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
)


@pytest.mark.skipif(
    bool(_AS_ANYBODY) and shutil.which("setpriv") is None, reason="root may read and write anything"
)
@pytest.mark.parametrize("what", ["script", "root", "experiments"])
def test_permissions(workplace, script, what: str) -> None:
    experiments = workplace.root / "experiments"
    experiments.mkdir()
    closed = {"script": script, "root": workplace.root, "experiments": experiments}[what]
    root = workplace.root / "below" if what == "root" else workplace.root
    mode = closed.stat().st_mode
    closed.chmod(0o000 if what == "script" else 0o500)
    try:
        done = subprocess.run(
            [*_AS_ANYBODY, sys.executable, "-m", "overnight", "run", str(script),
             "--root", str(root)],
            env=workplace.env, cwd=workplace.home, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        closed.chmod(mode)
    if done.returncode == 127 or "setpriv" in done.stderr:
        pytest.skip("root may read and write anything here: " + done.stderr.strip())
    assert done.returncode == 2, done.stderr
    key = "unreadable" if what == "script" else "root_unwritable"
    assert sentences.EN[f"run.{key}"].partition("{")[0] in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert workplace.runs() == []
    assert workplace.processes() == set()


_HOSTILE = [
    "with space", "quo'te", 'dou"ble', "new\nline", "tab\tbed", "$(touch x)", "`x`", "a;b", "*?[x]",
    "-dash", ".hidden", "%s%d{x}", "😀🚀", "[Image] 베이스라인 코드", "é" * 100, "x" * 250,
    "..", "...x", "a\u202eb",
]  # fmt: skip


@pytest.mark.parametrize("name", _HOSTILE)
def test_hostile_file_and_folder_names_end_to_end(workplace, name: str) -> None:
    folder = workplace.root / ("x" + name[:60])
    folder.mkdir()
    script = folder / (name[:100] + "a.py")
    script.write_text("import os, sys; print(len(sys.argv), flush=True)")
    run = workplace.run("--root", folder, "--", sys.executable, script, name)
    assert workplace.ended(run) == Finished(), workplace.log(run)
    assert workplace.log(run).startswith("2\n")
    plain = workplace.run("--root", folder, f"./{script.name}", name, cwd=folder)
    assert workplace.ended(plain) == Finished(), workplace.log(plain)
    assert Path(plain.dir).is_relative_to(folder)
    for verb in ("status", "logs", "wait"):
        done = workplace.overnight(verb, plain.run_id, "--root", folder)
        assert done.returncode == 0, done.stderr
    assert workplace.overnight("resume", plain.run_id, "--root", folder).returncode == 0
    assert workplace.ended(plain) == Finished()


def test_a_file_name_that_is_no_unicode(workplace) -> None:
    path = os.fsencode(workplace.root) + b"/caf\xe9.py"
    Path(os.fsdecode(path)).write_text("print('ran')")
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"overnight", b"run", b"--json", path],
        env=workplace.env, cwd=workplace.root, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = workplace.run_at(workplace.runs()[0])
    assert workplace.ended(run) == Finished()
    assert "ran" in workplace.log(run)
    assert workplace.overnight("resume", run.run_id).returncode == 0
    assert workplace.ended(run) == Finished()


@pytest.mark.parametrize("name", ["a b", "it's", "😀", "한글 이름", "%d{x}", "x" * 80, "Ünïcödé"])
def test_hostile_names_of_runs(workplace, script, name: str) -> None:
    run = workplace.run(script, "--name", name)
    assert workplace.ended(run) == Finished()
    assert workplace.overnight("wait", name).returncode == 0


def test_an_argument_of_every_kind_reaches_the_job_as_it_is(workplace) -> None:
    script = workplace.script("import json, sys; json.dump(sys.argv[1:], open('argv', 'w'))")
    words = ["", " ", "a b", "'", '"', "\n", "${HOME}", "$HOME", "--set=x", "-f", "-h", "가", "\\",
             "${NOT_A_SECRET}", "*", "--x=--name"]  # fmt: skip
    run = workplace.run(script, "--", *words)
    assert workplace.ended(run) == Finished()
    assert json.loads((workplace.root / "argv").read_text()) == words
