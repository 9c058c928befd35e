"""A run's page: what it says of real ledgers, of damaged ones, and of names that are code."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from overnight.ledger import files
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.writer import Pen
from overnight.messages import Language
from overnight.reporting.gather import gather
from overnight.reporting.page import render, write
from overnight.testing.long_run import Size, make

#: What a person may have called a run, a class or a number.
EVIL = "<script>alert(1)</script>\"'&한글"
OOM = {
    "kind": "cuda_oom", "sentence": "cuda_oom", "fields": {},
    "evidence": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
}  # fmt: skip


class Seen(HTMLParser):
    """What a browser would take a page for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def seen(run: RunPaths, language: Language = "en") -> Seen:
    return Seen(render([gather(run)], language))


def empty(root: Path, name: str = "empty") -> RunPaths:
    return create_run(str(root), "run", name)


def test_a_night_is_told_in_words_first(tmp_path: Path) -> None:
    text = seen(make(tmp_path)).text
    for sentence in (
        "The run finished after 59 min.",
        "resnet10t was trained on 1,797 examples of 3 classes: 2 folds, 5 epochs at most.",
        "Judged by examples that each member had not seen, macro_f1 is 0.965",
        "6 trials searched for better settings (4 completed, 1 cut short, 1 failed).",
        "It is calibrated (temperature 1.43): the calibration error went from 0.118 to 0.019.",
        "1,000 examples were predicted: submission.csv. 2 could not be read.",
        "6 of 20 trials, 1 of 2 folds",
    ):
        assert sentence in text
    # The words come before any picture.
    assert text.index("What happened") < text.index("Curves") < text.index("Confusion matrix")


def test_every_part_is_there_in_both_languages(tmp_path: Path) -> None:
    run = make(tmp_path)
    english, korean = seen(run), seen(run, "ko")
    assert [tag for tag, _ in english.tags] == [tag for tag, _ in korean.tags]
    assert korean.named("html")[0]["lang"] == "ko"
    assert "실행이 59분 만에 끝났습니다." in korean.text
    assert "혼동 행렬" in korean.text
    # Curves, matrix, two reliability diagrams, three of the search, the machine's load.
    assert len(english.named("svg")) >= 12
    assert len(english.named("img")) == 6


def test_nothing_in_it_comes_from_elsewhere(tmp_path: Path) -> None:
    page = seen(make(tmp_path))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "default-src 'none'" in str(page.named("meta"))
    for _, attrs in page.tags:
        assert str(attrs.get("src", "data:image/")).startswith("data:image/")
        assert not {"href", "srcset", "action"} & set(attrs)


def test_a_name_is_never_code(tmp_path: Path) -> None:
    run = make(tmp_path, name="x", labels=[EVIL, "<img src=x onerror=alert(1)>", "개"])
    info = files.read_json(run.run_json) or {}
    odd = {"name": EVIL, "target": EVIL, "host": EVIL, "argv": [EVIL], "git_commit": EVIL}
    files.replace(run.run_json, files.to_json({**info, **odd}))
    metrics, job = Pen(run.dir, "metrics", attempt=0), Pen(run.dir, "job", attempt=0)
    for epoch in (1, 2):
        metrics.append({"_kind": "epoch", "epoch": epoch, EVIL: float(epoch)})
    job.append({"_event": "Notify", "text": EVIL})
    job.append({"_event": "TrialEnded", "trial": 99, "state": EVIL, "values": {EVIL: EVIL}})
    media = Pen(run.dir, "media", attempt=0)
    media.append({"_kind": "histogram", "key": EVIL, "low": 0, "high": 1, "counts": [1, 2]})
    Path(run.log).write_text(EVIL + "\n", encoding="utf-8")
    with Path(run.config_yaml).open("a", encoding="utf-8") as file:
        file.write(f"'{EVIL.replace(chr(39), '')}': 1\n")
    page = seen(run)
    plain = seen(make(tmp_path, name="y"))
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in plain.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") > 8


def test_a_failure_shows_its_cause_its_log_and_the_way_on(tmp_path: Path) -> None:
    run = make(tmp_path, outcome="failed", cause=OOM)
    Path(run.log).write_text("loading\ntorch.OutOfMemoryError: CUDA out of memory\n")
    text = seen(run).text
    assert "The run failed after 59 min:" in text
    assert "Tried to allocate 2.00 GiB" in text
    assert f"overnight resume {run.run_id}" in text
    assert text.index("torch.OutOfMemoryError: CUDA out of memory\n") < text.index("Curves")


def test_what_was_asked_for_and_is_not_there_is_said(tmp_path: Path) -> None:
    run = make(tmp_path, Size(folds=2), outcome="stopped")
    lines = Path(run.at("metrics.jsonl")).read_text().splitlines(keepends=True)
    gone = ('"fold":1', '"stage":"calibrate"')
    kept = [line for line in lines if not any(each in line for each in gone)]
    Path(run.at("metrics.jsonl")).write_text("".join(kept))
    job = Path(run.at("job.jsonl")).read_text().splitlines(keepends=True)
    kept = [line for line in job if "Predicted" not in line and "Calibrated" not in line]
    Path(run.at("job.jsonl")).write_text("".join(kept))
    text = seen(run).text
    assert "Not trained: fold 1." in text
    assert "Asked for and not done: the calibration." in text
    assert "Asked for and not done: the prediction of the test examples." in text


@pytest.mark.parametrize("language", ["en", "ko"])
def test_an_empty_folder_has_an_honest_page(tmp_path: Path, language: Language) -> None:
    run = empty(tmp_path)
    files.replace(run.run_json, files.to_json({"name": "비어 있음", "created_us": 0}))
    page = seen(run, language)
    assert "비어 있음" in page.text
    assert not page.named("svg")


def test_a_damaged_ledger_still_has_its_page(tmp_path: Path) -> None:
    run = make(tmp_path)
    for base in ("metrics", "job", "media", "events", "system"):
        with Path(run.at(base + ".jsonl")).open("ab") as file:
            file.write(b'\x00\xff{"_seq": 1, "half\n[1, 2]\n')
    tables = sorted(Path(run.media).glob("*.jsonl"))
    tables[0].unlink()
    tables[1].write_bytes(b'{"truth": "a", \xff\n')
    torn = gzip.compress(b'{"parameter": "lr", "importance": 1}\n' * 99)[:40]
    media = Pen(run.dir, "media", attempt=0)
    Path(run.at("media", "torn.jsonl.gz")).write_bytes(torn)
    wrong = {"_kind": "table", "columns": ["parameter", "importance"]}
    media.append({**wrong, "key": "importance", "path": "media/torn.jsonl.gz"})
    media.append({**wrong, "key": "outside", "path": "../../../../etc/passwd"})
    media.append({"_kind": "figure", "key": "outside", "path": "/etc/hostname.png"})
    media.append({"_kind": "histogram", "key": "h", "low": "x", "high": None, "counts": ["y"]})
    Pen(run.dir, "job", attempt=0).append({"_event": "TrialEnded", "trial": "x", "values": 3})
    for name in (run.machine_json, run.config_yaml, run.status_json):
        Path(name).write_bytes(b"\xff{")
    page = seen(run)
    assert "The run finished" in page.text
    assert "root:" not in page.text


def test_a_script_gets_curves_of_whatever_it_logged(tmp_path: Path) -> None:
    run = empty(tmp_path, "job")
    pen = Pen(run.dir, "metrics", attempt=0)
    for step in range(900):
        value = float("nan") if step == 400 else 1 / (step + 1)
        pen.append({"_kind": "step", "step": step, "my loss": value, "고양이": step % 7})
    page = seen(run)
    assert len(page.named("svg")) == 2
    assert "고양이" in page.text
    lines = [attrs["d"] or "" for attrs in page.named("path") if "line" in str(attrs.get("class"))]
    assert len(lines) == 3  # the gap of the NaN cuts one in two
    assert all(len(re.findall("[ML]", line)) <= 340 for line in lines)


def test_it_stays_small_however_many_pictures_there_are(tmp_path: Path) -> None:
    run = make(tmp_path, Size(pictures=40, picture_px=200, classes=4))
    write([run], tmp_path / "page.html", "en")
    assert (tmp_path / "page.html").stat().st_size < 1_000_000
    assert not list(tmp_path.glob("page.html.*"))


def test_pictures_for_which_there_is_no_room_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, Size(pictures=40, picture_px=200))
    monkeypatch.setitem(sys.modules, "PIL", None)  # a core installation has none
    page = seen(run)
    assert 0 < len(page.named("img")) < 40
    assert f"{40 - len(page.named('img'))} pictures are left out" in page.text


def test_what_was_set_stands_apart_from_the_defaults(tmp_path: Path) -> None:
    run = make(tmp_path)
    page = render([gather(run)], "en")
    asked, _, default = page.partition("What was left as it is by default")
    for key in ("train.lr", "train.epochs", "task"):
        assert f"<td>{key}</td>" in asked
        assert f"<td>{key}</td>" not in default
    assert "<td>train.img_size</td>" in default


# ── several runs ────────────────────────────────────────────────────────────────────────────────


def trained(root: Path, name: str, f1: float, loss: float, lr: float) -> RunPaths:
    run = empty(root, name)
    files.replace(run.run_json, files.to_json({"name": name, "created_us": 0}))
    pen = Pen(run.dir, "metrics", attempt=0)
    for epoch in (1, 2):
        values = {"val_f1": f1 * epoch / 2, "val_loss": loss / epoch}
        pen.append({"_kind": "epoch", "epoch": epoch, **values})
    Path(run.config_yaml).write_text(f"train:\n  lr: {lr}\n  epochs: 2\n")
    return run


def test_of_several_runs_the_better_is_marked(tmp_path: Path) -> None:
    first = trained(tmp_path, "first", f1=0.8, loss=1.0, lr=0.1)
    second = trained(tmp_path, "second", f1=0.9, loss=2.0, lr=0.2)
    page = render([gather(first), gather(second)], "en")
    assert "Best by macro_f1: second, with 0.9." in page
    assert re.search(r"<td>0\.8</td><td class=\"best\"[^>]*>0\.9 ★", page)
    # Of a loss the lower one is the better.
    assert re.search(r"<td class=\"best\"[^>]*>0\.5 ★</td><td>1</td>", page)
    settings = page[page.index("Settings that differ") :]
    assert "train.lr" in settings
    assert "train.epochs" not in settings


def test_two_runs_that_are_alike_have_no_winner(tmp_path: Path) -> None:
    runs = [trained(tmp_path, "same", f1=0.8, loss=1.0, lr=0.1) for _ in range(2)]
    page = render([gather(run) for run in runs], "en")
    assert "★" not in page
    assert "All settings are the same." in page
    # Alike in name as well: they are told apart by their ids.
    assert all(run.run_id in page for run in runs)


def test_runs_with_nothing_in_common_are_shown_all_the_same(tmp_path: Path) -> None:
    page = Seen(render([gather(make(tmp_path)), gather(empty(tmp_path, EVIL[:8] + "x"))], "ko"))
    assert "비교할 수 있는 공통의 수치가 없습니다." in page.text
    assert "script" not in {tag for tag, _ in page.tags}


def test_a_page_loads_nothing_heavy(tmp_path: Path) -> None:
    run = make(tmp_path)
    code = (
        "import sys; from pathlib import Path; from overnight.ledger.paths import RunPaths;"
        "from overnight.reporting.page import write;"
        "write([RunPaths(sys.argv[1])], Path(sys.argv[1], 'report.html'), 'en');"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, run.dir], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "numpy", "matplotlib", "pydantic", "pandas", "wandb", "mlflow", "optuna"}
    assert not heavy & set(done.stdout.split())
    assert Path(run.report).is_file()
