"""The catalogue: two languages with the same keys and fields; nothing missing, nothing unused."""

from __future__ import annotations

import ast
import re
import string
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import overnight
from overnight.messages import language, say

PACKAGE = Path(overnight.__file__).parent
ROOMS = sorted(path.stem for path in (PACKAGE / "messages").glob("[a-z]*.py"))
KEY = re.compile(r"[a-z]+(?:\.[a-z0-9_]+)+")


def tables(room: str) -> tuple[dict[str, str], dict[str, str]]:
    module = import_module("overnight.messages." + room)
    return module.EN, module.KO


def all_keys() -> set[str]:
    return {key for room in ROOMS for key in tables(room)[0]}


def fields(sentence: str) -> set[str]:
    """The names a sentence asks for; ``{}`` and ``{0}`` are mistakes."""
    names = {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
    assert all(name.isidentifier() for name in names), sentence
    return names


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "messages"]


@cache
def error_classes() -> frozenset[str]:
    """The names of all errors that are made from a key."""
    bases = {
        node.name: {getattr(base, "id", "") for base in node.bases}
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    found = {"OvernightError"}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return frozenset(found)


class Literals(ast.NodeVisitor):
    """What a file says: the keys it hands to a sayer, and the words keys may be made of."""

    def __init__(self) -> None:
        #: Key → whether an error is made of it.
        self.said: dict[str, bool] = {}
        self.words: set[str] = set()
        #: Keys put together from parts, as patterns: f"doctor.{check}.ok".
        self.patterns: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        arms = node.args[:1] if name == "say" or name in error_classes() else []
        while arms:
            arm = arms.pop()
            if isinstance(arm, ast.IfExp):  # both arms of a choice
                arms += [arm.body, arm.orelse]
            elif isinstance(arm, ast.Constant) and is_key(arm.value):
                self.said[str(arm.value)] = name != "say"
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.words.add(node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.words.add(node.name.lower())
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.words.add(ast.unparse(node.target))  # a field's name
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.words.add(node.name)
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.note_pattern(node)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.note_pattern(node)
        self.generic_visit(node)

    def note_pattern(self, node: ast.expr) -> None:
        text = pattern(node)
        if any(text.startswith(re.escape(room + ".")) for room in ROOMS):
            self.patterns.add(text)


def is_key(value: object) -> bool:
    """Whether a string looks like a key of one of the rooms."""
    return (
        isinstance(value, str)
        and KEY.fullmatch(value) is not None
        and value.partition(".")[0] in ROOMS
    )


def pattern(node: ast.expr) -> str:
    """A regular expression of the strings that an expression may give."""
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    if isinstance(node, ast.JoinedStr):
        return "".join(map(pattern, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return pattern(node.left) + pattern(node.right)
    return "(.+)"


def literals() -> dict[Path, Literals]:
    found = {}
    for path in sources():
        found[path] = Literals()
        found[path].visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_both_languages_have_the_same_keys_and_fields(room: str) -> None:
    english, korean = tables(room)
    assert list(english) == list(korean), "same keys, in the same order"
    for key in english:
        assert KEY.fullmatch(key), key
        assert key.partition(".")[0] == room, key
        assert fields(english[key]) == fields(korean[key]), key


@pytest.mark.parametrize("room", ROOMS)
def test_sentences_are_sentences(room: str) -> None:
    english, korean = tables(room)
    for key in english:
        # Empty, indented or over several lines: then in both.
        shapes = [
            re.sub(r"\S.*\S|\S", "x", table[key], flags=re.DOTALL) for table in (english, korean)
        ]
        assert shapes[0] == shapes[1], key
    for key, sentence in korean.items():
        assert re.search("[가-힣]", sentence) or sentence == english[key], key
        # A particle that depends on the last letter of what a field holds.
        assert not re.search(
            r"\}['\"’”]?(?:을|를|은|는|이|가|과|와|으로|로)(?:[\s,.]|$)", sentence
        ), key
    for key, sentence in english.items():
        assert not re.search("[가-힣]", sentence), key


def test_every_error_says_how_to_fix_it() -> None:
    keys = all_keys()
    missing = [
        f"{path.relative_to(PACKAGE)}: {key}{'.fix' if key in keys else ''}"
        for path, each in literals().items()
        for key, is_error in sorted(each.said.items())
        if key not in keys or (is_error and key + ".fix" not in keys)
    ]
    assert missing == []


def test_a_fix_asks_for_no_field_its_error_does_not_have() -> None:
    # An error is made from one set of fields: what its fix names, the caller gives as well.
    for room in ROOMS:
        english, _ = tables(room)
        for key in english:
            if key.endswith(".fix"):
                assert key[:-4] in english, f"{key} fixes nothing"


def test_no_sentence_is_unused() -> None:
    found = literals().values()
    words = {word for each in found for word in each.words}
    for template in PACKAGE.rglob("*.html"):  # the report's page says some itself
        words.update(re.findall(r"say\(['\"]([a-z_.]+)['\"]", template.read_text(encoding="utf-8")))
    patterns = [re.compile(text) for each in found for text in each.patterns]

    def used(key: str) -> bool:
        return key in words or any(
            match is not None and all(part in words for part in match.groups())
            for match in (each.fullmatch(key) for each in patterns)
        )

    unused = [k for k in sorted(all_keys()) if not used(k) and not used(k.removesuffix(".fix"))]
    assert unused == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "OVERNIGHT_LANG": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "OVERNIGHT_LANG": "ko"}, "ko"),
    ],
)
def test_the_language_is_the_readers(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("OVERNIGHT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


@pytest.mark.parametrize("room", ROOMS)
def test_every_sentence_can_be_said_in_both_languages(
    monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    for chosen, table in zip(("en", "ko"), tables(room), strict=True):
        monkeypatch.setenv("OVERNIGHT_LANG", chosen)
        for key, sentence in table.items():
            said = say(key, **dict.fromkeys(fields(sentence), 7))
            assert "{" not in said.replace("${", "") or "{{" in sentence, key
