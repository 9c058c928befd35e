"""Which run a word means."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.cli.select import complete_run, find, known
from overnight.errors import RunNotFound
from overnight.ledger.paths import RunPaths

Ledger = Callable[..., RunPaths]


def test_nothing_means_the_newest(ledger: Ledger, finished: Any) -> None:
    ledger("old", events=finished, age_s=7200)
    newest = ledger("new", events=finished)
    ledger("older", events=finished, age_s=9000)
    assert find(None) == newest


def test_a_name_means_its_newest_run(ledger: Ledger, finished: Any) -> None:
    ledger("base", events=finished, age_s=7200)
    newest = ledger("base", events=finished, age_s=60)
    ledger("other", events=finished)
    assert find("base") == newest


def test_an_id_and_the_beginning_of_exactly_one(ledger: Ledger, finished: Any) -> None:
    old = ledger("base", events=finished, age_s=7200)
    new = ledger("base", events=finished)
    assert find(old.run_id) == old
    assert find(old.run_id[:-1]) in (old, new)
    assert find(new.run_id) == new


def test_latest_means_the_newest_of_its_kind_that_has_finished(
    ledger: Ledger, finished: Any, failed: Any
) -> None:
    ledger("old", events=finished, age_s=7200)
    newest = ledger("new", events=finished, age_s=60)
    ledger("broken", events=failed)
    assert find("latest-run") == newest
    with pytest.raises(RunNotFound):
        find("latest-train")
    pipeline = Path(newest.root, "experiments", "pipeline", newest.date, "p_20260101_0900")
    shutil.copytree(newest.dir, pipeline)
    assert find("latest-train") == RunPaths(str(pipeline))


def test_several_beginnings_are_listed(ledger: Ledger, finished: Any) -> None:
    runs = [ledger("base", events=finished, age_s=age) for age in (0, 7200)]
    with pytest.raises(RunNotFound) as caught:
        find("bas")
    assert "2 runs" in caught.value.what
    assert all(run.run_id in caught.value.fix for run in runs)


def test_a_near_miss_is_answered_with_what_was_meant(ledger: Ledger, finished: Any) -> None:
    ledger("baseline", events=finished)
    with pytest.raises(RunNotFound) as caught:
        find("basline")
    assert "baseline" in caught.value.fix


def test_without_any_run_it_says_how_to_start_one(shell: Any) -> None:
    with pytest.raises(RunNotFound) as caught:
        find(None)
    assert "overnight run" in caught.value.fix


def test_a_run_whose_folder_is_gone_is_passed_over(ledger: Ledger, finished: Any) -> None:
    kept = ledger("base", events=finished, age_s=7200)
    gone = ledger("base", events=finished)
    shutil.rmtree(gone.dir)
    assert find(None) == kept
    assert find("base") == kept
    with pytest.raises(RunNotFound):
        find(gone.run_id)


def test_where_ids_collide_the_current_root_wins(
    ledger: Ledger, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ledger("base", events=finished)
    other = tmp_path / "other"
    there = RunPaths(str(other / os.path.relpath(here.dir, here.root)))
    shutil.copytree(here.dir, there.dir)
    from overnight.ledger import index

    index.add(there, name="base", created_us=1)
    assert find(here.run_id) == here
    monkeypatch.chdir(other)
    (other / "overnight.yaml").touch()
    assert find(here.run_id) == there
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunNotFound) as caught:
        find(here.run_id)
    assert str(other) in caught.value.fix


def test_a_root_shows_what_the_index_never_heard_of(
    ledger: Ledger, finished: Any, tmp_path: Path
) -> None:
    copied = ledger("copied", events=finished, root=tmp_path / "disk", indexed=False)
    ledger("mine", events=finished)
    with pytest.raises(RunNotFound):
        find("copied")
    assert find("copied", root=str(tmp_path / "disk")) == copied
    assert find(None, root=str(tmp_path / "disk")) == copied
    assert [entry.name for entry in known(str(tmp_path / "disk"))] == ["copied"]


def test_a_folder_is_a_run_by_path_and_by_link(
    ledger: Ledger, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ledger("base", events=finished, indexed=False)
    link = Path(run.root) / "experiments" / "run" / "latest-run" / run.run_id
    link.parent.mkdir()
    link.symlink_to(run.dir)
    assert find(run.dir).dir == os.path.realpath(run.dir)
    assert find(str(link)).dir == os.path.realpath(run.dir)
    monkeypatch.chdir(run.dir)
    assert find(".").log == RunPaths(os.path.realpath(run.dir)).log


def test_hangul_is_found_in_either_spelling(ledger: Ledger, finished: Any) -> None:
    run = ledger("손글씨", events=finished)
    assert find(unicodedata.normalize("NFD", "손글씨")) == run
    assert find("손글") == run


@pytest.mark.parametrize(
    "word",
    ["", "a\nb", "../", "x" * 300, "🚀", "\0", "/", "~nobody/x", "-", "\udcff", "./" + "y" * 5000],
)
def test_hostile_words_are_refused_clearly(ledger: Ledger, finished: Any, word: str) -> None:
    ledger("base", events=finished)
    with pytest.raises(RunNotFound) as caught:
        find(word)
    assert "\n" not in caught.value.what
    assert len(caught.value.what) < 200
    caught.value.what.encode()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(word=st.text(max_size=40))
def test_any_word_means_a_run_or_is_refused(ledger: Ledger, finished: Any, word: str) -> None:
    if not known():
        for name in ("base", "손글씨", "a b'c"):
            ledger(name, events=finished)
    try:
        found = find(word)
    except RunNotFound:
        return
    assert found.run_id


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(data=st.data())
def test_every_beginning_of_an_id_finds_it_or_lists_it(
    ledger: Ledger, finished: Any, data: st.DataObject
) -> None:
    if not known():
        for age_s in (0, 100, 9000):
            ledger("base", events=finished, age_s=age_s)
            ledger("🚀 손글씨", events=finished, age_s=age_s)
    run = data.draw(st.sampled_from([entry.run for entry in known()]))
    length = data.draw(st.integers(1, len(run.run_id)))
    beginning = run.run_id[:length]
    same = [entry.run for entry in known() if entry.run.run_id.startswith(beginning)]
    exact = [each for each in same if beginning in (each.run_id, known_name(each))]
    if exact or len(same) == 1:
        assert find(beginning).run_id.startswith(beginning)
    else:
        with pytest.raises(RunNotFound, match=str(len(same))):
            find(beginning)


def known_name(run: RunPaths) -> str:
    return next(entry.name for entry in known() if entry.run == run)


def test_the_shell_completes_names_and_ids(ledger: Ledger, finished: Any) -> None:
    run = ledger("baseline", events=finished)
    ledger("other", events=finished)
    assert list(complete_run("ba")) == ["baseline", run.run_id]
    assert list(complete_run("zzz")) == []
