"""Every ``--json`` answer keeps to its checked-in schema, whatever the language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.cli import VERBS

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
#: ``logs`` hands on what the job wrote; there is nothing to put into JSON.
WITHOUT_JSON = {"logs"}
NOTEBOOK = {
    "nbformat": 4, "nbformat_minor": 5, "metadata": {},
    "cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1,
               "id": "a", "source": "EPOCHS = 3\nprint(EPOCHS)"}],
}  # fmt: skip


def schema(verb: str) -> dict[str, Any]:
    found = json.loads((SCHEMAS / f"{verb}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_each_verb_has_one() -> None:
    verbs = {path.stem.partition("-")[0] for path in SCHEMAS.glob("*.json")}
    assert verbs == set(VERBS) - WITHOUT_JSON


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_each_is_a_schema_of_its_verb(path: Path) -> None:
    found = schema(path.stem)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$id"] == f"overnight.{path.stem}/1"
    assert found["properties"]["schema"]["const"] == found["$id"]


@pytest.mark.slow
def test_real_answers_keep_to_them(shell: Any) -> None:
    shell.script("import time; time.sleep(60)")
    (shell.root / "nb.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")

    def check(verb: str, *words: str, code: int | None = 0) -> dict[str, Any]:
        answer: dict[str, Any] = shell.json(verb, *words, code=code)
        jsonschema.validate(answer, schema(verb))
        assert next(iter(answer)) == "schema"
        return answer

    run = check("run", "job.py")["run_id"]
    check("status", run)
    check("ls")
    check("top")
    check("wait", "--timeout", "0.1s", code=124)
    check("stop", run, "--now")
    check("status", run)
    check("wait", run, code=128 + 9)
    check("resume", run)
    check("stop", run, "--now")
    check("rm", run, "--yes")
    check("rm", "--older-than", "30d", "--yes")
    check("convert", "nb.ipynb")


@pytest.mark.slow
def test_doctor_keeps_to_its_schema(shell: Any) -> None:
    jsonschema.validate(shell.json("doctor", code=None), schema("doctor"))


def test_json_has_no_language(states: Any, shell: Any) -> None:
    # What moves with the clock is left out of the comparison.
    moving = {"ran_s", "progress", "detail"}
    answers = []
    for lang in ("en", "ko"):
        runs = json.loads(shell("ls", "--json", lang=lang).stdout)["runs"]
        answers.append([{k: v for k, v in run.items() if k not in moving} for run in runs])
    assert answers[0] == answers[1]
