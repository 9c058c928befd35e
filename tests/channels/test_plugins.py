"""Words become classes: rows of ours first, then other packages' entry points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from overnight import plugins
from overnight.channels import GROUP, open_channel
from overnight.errors import UserError

MODULE = """
class Pigeon:
    service = "pigeon"

    def __init__(self, name, url):
        if not url.partition("://")[2]:
            raise IndexError("no loft in " + url)
        self.name, self.url = name, url
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody else's, as pip leaves one."""
    site = tmp_path / "site"
    about = site / "loft-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "loft_for_test.py").write_text(MODULE, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: loft\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        f"[{GROUP}]\npigeon = loft_for_test:Pigeon\nmailto = loft_for_test:Pigeon\n"
        "broken = loft_for_test:Missing\nabsent = no_such_module_here:X\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "loft_for_test", raising=False)
    return site


def test_a_row_is_imported_when_it_is_asked_for() -> None:
    assert plugins.find("overnight.tests", "path", {"path": "pathlib:Path"}) is Path
    assert plugins.find("overnight.tests", "other", {"path": "pathlib:Path"}) is None


def test_an_entry_point_opens_its_scheme(installed: Path) -> None:
    channel = open_channel("roof", "pigeon://roof/3")
    assert type(channel).__name__ == "Pigeon"
    assert (channel.name, channel.url) == ("roof", "pigeon://roof/3")  # type: ignore[attr-defined]


def test_a_plug_in_that_fails_is_no_traceback(installed: Path) -> None:
    with pytest.raises(UserError, match="IndexError") as error:
        open_channel("roof", "pigeon://")
    assert error.value.key == "plugin.failed"


def test_ours_win_over_a_plug_in_of_the_same_word(installed: Path) -> None:
    assert type(open_channel("mail", "mailto://me:pw@naver.com")).__name__ == "Mail"


@pytest.mark.parametrize("word", ["broken", "absent"])
def test_a_broken_plug_in_is_named(installed: Path, word: str) -> None:
    with pytest.raises(UserError) as error:
        open_channel("roof", f"{word}://x")
    assert error.value.key == "plugin.broken"
    assert "loft" in error.value.what
    assert "pip uninstall loft" in error.value.fix


@pytest.mark.parametrize(
    ("word", "near"), [("slakc", "slack"), ("Kakoa", "kakao"), ("zzz", None), ("", None)]
)
def test_a_misspelt_word_has_a_neighbour(word: str, near: str | None) -> None:
    assert plugins.nearest(word, ["slack", "kakao", "line"]) == near
