"""Every state of a run, in both languages, by every verb that shows runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.cli import main, output
from overnight.ledger import index
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import view, word

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def check(answer: dict[str, Any]) -> None:
    """Holds an answer to the schema it names."""
    verb = answer["schema"].removeprefix("overnight.").removesuffix("/1")
    schema = json.loads((SCHEMAS / f"{verb}.json").read_text(encoding="utf-8"))
    jsonschema.validate(answer, schema)


@pytest.mark.parametrize(
    ("made", "english", "korean"),
    [
        ("queued", "about to start", "곧 작업을 시작"),
        ("running", "about 3–4 min left, done ~ ", "약 3–4분 남음"),
        ("stalled", "for 12 min 3 s it has neither written nor computed", "12분 3초 동안"),
        ("restarting", "attempt 1 is about to start", "1번째 시도가 곧"),
        ("stopping", "민수 asked it to stop", "요청자: 민수"),
        ("finished", "finished", "완료"),
        ("failed", "failed (exit code 1)", "실패 (종료 코드 1)"),
        ("stopped", "stopped (SIGINT)", "정지됨 (SIGINT)"),
        ("unattended", "its supervisor is gone", "감독 프로세스가 사라졌습니다"),
        ("lost", "the machine was restarted", "컴퓨터가 다시 시작"),
        ("lost_unseen", "left no exit code behind", "종료 코드를 남기지 않고"),
        ("running_far", "running on gpu02, seen ", "gpu02, "),
        (
            "elsewhere",
            "s ago; whether it still does cannot be told",
            "초 전",
        ),
    ],
)
def test_status_tells_each_state(
    states: dict[str, RunPaths], made: str, english: str, korean: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run = states[made]
    for lang, sentence in (("en", english), ("ko", korean)):
        monkeypatch.setenv("OVERNIGHT_LANG", lang)
        assert main(["status", run.run_id]) == 0
        shown = capsys.readouterr().out
        assert sentence in shown
        assert run.run_id in shown
        assert run.dir in shown
    assert main(["status", run.run_id, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    check(answer)
    assert answer["state"] == word(view(run).state)


def test_status_of_a_running_run_tells_all_there_is(
    states: dict[str, RunPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["status", "running"])
    shown = capsys.readouterr().out
    for part in (
        "58 %", "epoch 7/12", "loss 0.4123 · accuracy 0.931 · grad_norm NaN", "CPU 198 %",
        "RAM 1.2 GiB", "GPU0 87 % 10.0/24.0 GiB 71 °C", "overnight logs -f", "overnight stop",
    ):  # fmt: skip
        assert part in shown
    assert "overnight resume" not in shown


def test_status_of_a_failed_run_tells_why_and_what_to_do(
    states: dict[str, RunPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["status", "failed"])
    shown = capsys.readouterr().out
    for part in ("GPU's memory ran out", "torch.OutOfMemoryError", "Halve the batch size",
                 "overnight resume failed_"):  # fmt: skip
        assert part in shown
    main(["status", "failed", "--json"])
    assert json.loads(capsys.readouterr().out)["cause"]["kind"] == "cuda_oom"


def test_a_run_that_did_nothing_is_remarked_upon(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cause = {"kind": "no_work", "sentence": "no_work", "evidence": "", "fields": {"ran_s": "0.2"}}
    ledger("idle", events=[finished[0], {**finished[1], "cause": cause}])
    main(["status"])
    assert "no step or epoch was ever seen" in capsys.readouterr().out


def test_a_lost_run_is_closed_by_whoever_looks_first(
    states: dict[str, RunPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    run = states["lost"]
    assert view(run).unsettled
    main(["ls"])
    assert not view(run).unsettled
    [entry] = [each for each in index.entries() if each.run == run]
    assert entry.ended is not None
    assert entry.ended["why"] == "reboot"


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("verb", [["ls"], ["ls", "--all"], ["top", "--once"]])
def test_tables_hold_every_state_with_their_columns_below_each_other(
    states: dict[str, RunPaths], lang: str, verb: list[str],
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OVERNIGHT_LANG", lang)
    assert main(verb) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "  " in line]
    heads = ("STATE", "상태")
    [head] = [line for line in lines if any(text in line for text in heads)]
    place = output.cells(head[: min(head.index(text) for text in heads if text in head)])
    rows = lines[lines.index(head) + 1 :]
    assert len(rows) >= 12
    for row in rows:
        used = 0
        while output.cells(row[:used]) < place:
            used += 1
        assert row[used] in ":▸!↻▪✓✗▹?"
        assert row[used - 1] == " "


def test_the_answers_of_tables_keep_to_their_schemas(
    states: dict[str, RunPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("ls", "top"):
        main([verb, "--json"])
        answer = json.loads(capsys.readouterr().out)
        check(answer)
        assert {run["state"] for run in answer["runs"]} >= {"running", "stalled", "unattended"}


def test_a_folder_full_of_garbage_is_still_shown(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ledger("broken", events=finished)
    for name in ("run.json", "status.json", "keeper.json", "lease", "launch.json"):
        Path(run.at(name)).write_bytes(b"\xff{]\x00")
    Path(run.at("metrics.jsonl")).write_bytes(b'\x00\xff\n{"_seq":0,"_t":1,"loss":"NaN"}\n{"_seq"')
    for verb in (["status"], ["ls"], ["top", "--once"], ["status", "--json"]):
        assert main([*verb]) == 0
        assert run.run_id in capsys.readouterr().out


def test_names_in_files_cannot_reach_the_terminal(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    status = {
        "attempt": 0, "metrics": {"\x1b]0;evil\x07loss\x1b[2J": 1.0}, "updated_us": 1,
        "estimate": None, "sample": {},
    }  # fmt: skip
    info = {"target": "\x1b[2Jx.py", "name": "a\x1b[31mb"}
    ledger("evil", events=finished, info=info, status=status)
    for verb in ("status", "ls"):
        main([verb])
        assert "\x1b" not in capsys.readouterr().out
