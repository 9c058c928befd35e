"""Which trackers a run has: options, a config, overnight.yaml, the environment, in this order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overnight.errors import UserError
from overnight.start.track import where_to_track


def choose(root: Path, *words: str, env: dict[str, str] | None = None, **more: Any) -> Any:
    problems: list[UserError] = []
    found = where_to_track(words, str(root), env or {}, problems, **more)
    return found, problems


def test_a_script_goes_nowhere_and_a_training_to_mlflow(tmp_path: Path) -> None:
    key = {"WANDB_API_KEY": "k" * 40}
    assert choose(tmp_path, env=key) == ([], [])
    assert choose(tmp_path, is_training=True) == ([{"name": "mlflow", "address": ""}], [])
    found, _ = choose(tmp_path, env=key, is_training=True)
    assert [(each["name"], each.get("mode")) for each in found] == [
        ("mlflow", None), ("wandb", "online"),
    ]  # fmt: skip
    assert key["WANDB_API_KEY"] not in str(found)
    assert choose(tmp_path, is_training=True, config=()) == ([], [])
    assert choose(tmp_path, "none", is_training=True) == ([], [])


def test_the_file_counts_below_a_config_and_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "overnight.yaml").write_text(
        "track:\n  wandb: {project: digits, entity: us, tags: [a, 1]}\n"
    )
    env = {"WANDB_TAGS": "b, c", "WANDB_PROJECT": "theirs", "MLFLOW_TRACKING_URI": "http://x:1"}
    [found], _ = choose(tmp_path, env=env)
    assert found == {
        "name": "wandb", "address": "https://api.wandb.ai", "project": "theirs", "entity": "us",
        "tags": ["a", "1", "b", "c"], "mode": "offline",
    }  # fmt: skip
    [found], _ = choose(tmp_path, env=env, config=("mlflow",))
    assert found == {"name": "mlflow", "address": "http://x:1"}
    [found], _ = choose(tmp_path, "mlflow", env={}, config=("wandb",))
    assert found["name"] == "mlflow"
    (tmp_path / "overnight.yaml").write_text("track: off\n")
    assert choose(tmp_path, is_training=True) == ([], [])


def test_a_key_of_wandb_login_counts(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.wandb.ai login user password secret\n")
    netrc.chmod(0o600)
    [found], _ = choose(tmp_path, "wandb", env={"NETRC": str(netrc)})
    assert found["mode"] == "online"
    assert choose(tmp_path, "wandb", env={"WANDB_MODE": "disabled"}) == ([], [])


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    (tmp_path / "overnight.yaml").write_text(
        "track:\n  mlflow: {projct: x, tags: a}\n  wandb: {mode: sometimes, nothing: 1}\n"
    )
    _, problems = choose(tmp_path, "mlfow", "trackio")
    assert [each.key for each in problems] == [
        "track.option_near", "track.mode", "track.option_unknown", "track.misspelt",
        "track.unknown",
    ]  # fmt: skip
    assert "overnight.yaml" in problems[0].where
    assert problems[0].place is not None
    assert problems[0].place.line == 2
    assert [each.key for each in choose(tmp_path, "none", "mlflow")[1]][-1] == "track.none_and"
