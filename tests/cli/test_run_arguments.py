"""Whose is which word of ``overnight run``: ours, the target, or the job's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.cli.run import arrange

#: Ours that take a value, ours that do not.
_VALUED = ["--name", "--set", "--map", "--env", "--python", "--restart", "--stall-after",
           "--label", "--kind", "--root"]  # fmt: skip
_FLAGS = ["--follow", "--json"]
_SHORT = ["-f", "-h"]

_word = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
#: Words that cannot be taken for an option of ours, nor for the divider.
_plain = _word.filter(lambda word: not word.startswith("-"))
_foreign_option = st.from_regex(r"\A--?[a-z0-9]{1,6}(=[a-z ]*)?\Z").filter(
    lambda word: word.partition("=")[0] not in [*_VALUED, *_FLAGS, "--help", "--"]
)
_ours = st.one_of(
    st.tuples(st.sampled_from(_VALUED), _plain).map(list),
    st.tuples(st.sampled_from(_VALUED), _word).map(lambda pair: ["=".join(pair)]),
    st.sampled_from(_FLAGS).map(lambda flag: [flag]),
)
_theirs = st.one_of(_plain, _foreign_option, st.sampled_from([*_SHORT, "-x", "-", "--lr=3"])).map(
    lambda word: [word]
)
_target = _plain.filter(bool)


def _flat(groups: list[list[str]]) -> list[str]:
    return [word for group in groups for word in group]


@given(
    before=st.lists(_ours, max_size=4),
    target=_target,
    after=st.lists(st.one_of(_ours.map(lambda g: ("ours", g)), _theirs.map(lambda g: ("job", g)))),
    rest=st.none() | st.lists(_word),
)
def test_ours_come_first_and_the_jobs_words_keep_their_order(before, target, after, rest) -> None:
    words = ["run", *_flat(before), target, *_flat([group for _, group in after])]
    words += [] if rest is None else ["--", *rest]
    found = arrange(words)
    divider = found.index("--", 1 + len(_flat(before)))
    ours = _flat(before) + _flat([group for whose, group in after if whose == "ours"])
    jobs = _flat([group for whose, group in after if whose == "job"])
    assert found[:divider] == ["run", *ours]
    assert found[divider + 1 :] == [target, *jobs, *(rest or [])]


@given(before=st.lists(_ours, max_size=4), command=st.lists(_word))
def test_behind_the_dashes_alone_stands_a_command(before, command) -> None:
    # The empty word is the target that is not there.
    assert arrange(["run", *_flat(before), "--", *command]) == [
        "run", *_flat(before), "--", "", *command,
    ]  # fmt: skip


@given(before=st.lists(_ours, max_size=2), unknown=_foreign_option, after=st.lists(_plain))
def test_what_we_do_not_know_before_the_target_stays_before_the_divider(
    before, unknown, after
) -> None:
    # There the parser refuses it.
    found = arrange(["run", *_flat(before), unknown, *after])
    assert unknown in (found[: found.index("--")] if "--" in found else found)


@given(st.lists(st.one_of(_word, st.sampled_from([*_VALUED, *_FLAGS, *_SHORT, "--", "-", "--x"]))))
def test_no_word_is_lost_or_invented(words) -> None:
    found = arrange(["run", *words])
    assert found[0] == "run"
    added = [word for word in found[1:] if word not in ("--", "")]
    assert sorted(added) == sorted(word for word in words if word not in ("--", ""))
    assert found.count("--") >= words.count("--")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train.py"], ["--", "train.py"]),
        (["--name", "x", "train.py"], ["--name", "x", "--", "train.py"]),
        (["train.py", "--name=x"], ["--name=x", "--", "train.py"]),
        (["train.py", "--epochs", "3", "--name", "x"],
         ["--name", "x", "--", "train.py", "--epochs", "3"]),
        (["-f", "train.py"], ["-f", "--", "train.py"]),
        (["train.py", "-f", "data.csv"], ["--", "train.py", "-f", "data.csv"]),
        (["train.py", "-h"], ["--", "train.py", "-h"]),
        (["train.py", "--help"], ["--help", "--", "train.py"]),
        (["train.py", "--", "--name", "x"], ["--", "train.py", "--name", "x"]),
        (["--", "make", "--name", "x"], ["--", "", "make", "--name", "x"]),
        (["--", "a", "--", "b"], ["--", "", "a", "--", "b"]),
        (["--nmae", "x"], ["--nmae", "--", "x"]),
        (["--name"], ["--name"]),
        ([], []),
    ],
)  # fmt: skip
def test_examples(words, expected) -> None:
    assert arrange(["run", *words]) == ["run", *expected]
