"""A job's output becomes lines that no terminal can be harmed by."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.cli.screen import LINE_CHARS, Screen, depth_of, last_frames

SGR = re.compile(r"\x1b\[[0-9;:]*m")
DANGEROUS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
#: Bytes that logs are made of, the nasty ones included.
PIECES = st.sampled_from(
    [b"a", b"loss 0.5", "학습".encode(), b"\n", b"\r", b"\r\n", b"\x08\x08", b"\x1b[2K", b"\x1b[K",
     b"\x1b[A", b"\x1b[3A", b"\x1b[1B", b"\x1b[31m", b"\x1b[0m", b"\x1b[2J", b"\x1b[10;10H",
     b"\x1b]0;title\x07", b"\x1b]52;c;ZXZpbA==\x07", b"\x1bP1$r\x1b\\", b"\x1b", b"\x1b[", b"\xff",
     b"\x9b31m", b"\x00", b"\t", "\u202e".encode(), "\u2028".encode(), b"\x1bc"]
)  # fmt: skip
LOGS = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=60).map(b"".join))


def lines_of(data: bytes, **options: object) -> list[str]:
    screen = Screen(**options)  # type: ignore[arg-type]
    return screen.feed(data) + screen.close()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"no newline", ["no newline"]),
        (b"\r 10%\r 50%\r100%\nnext\n", ["100%", "next"]),
        (b" 10%\r 50%\r100%\r", ["100%"]),
        (b"bar\r\x1b[2Kdone\n", ["done"]),
        (b"kept\x1b[K\n", ["kept"]),
        (b"12\x08\x0834\n", ["34"]),
        (b"bar 50%\r            \rnext\n", ["next"]),
        (b"bar 50%\r            \r\nnext\n", ["next"]),
        (b"\x1b]0;evil\x07title\n", ["title"]),
        (b"\x1b[2J\x1b[1;1Hhome\n", ["home"]),
        ("\u202egnp.exe\n".encode(), ["gnp.exe"]),
        (b"\x1b[31mred\x1b[0m\n", ["red"]),
        (b"bad \xff byte\n", ["bad \ufffd byte"]),
    ],
)
def test_what_a_log_shows(data: bytes, lines: list[str]) -> None:
    assert lines_of(data) == lines


def test_colours_are_kept_where_they_are_wanted_and_end_with_the_line() -> None:
    assert lines_of(b"\x1b[31mred\nplain\n", colours=True) == ["\x1b[31mred\x1b[0m", "plain"]


@given(LOGS, st.booleans())
def test_no_bytes_do_anything_to_a_terminal(data: bytes, colours: bool) -> None:
    for line in lines_of(data, colours=colours):
        rest = SGR.sub("", line) if colours else line
        assert not DANGEROUS.search(rest)


@given(LOGS, st.lists(st.integers(0, 300), max_size=6))
def test_lines_do_not_depend_on_the_pieces_the_log_comes_in(data: bytes, cuts: list[int]) -> None:
    screen = Screen(depth=64)
    found: list[str] = []
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in zip(places, places[1:], strict=False):
        found += screen.feed(data[begin:end])
    assert found + screen.close() == lines_of(data, depth=64)


@given(LOGS)
def test_reducing_frames_beforehand_never_fails(data: bytes) -> None:
    lines_of(last_frames(data * 50), depth=depth_of(data))


def test_a_line_that_never_ends_is_cut() -> None:
    [line] = lines_of(b"x" * 10 * LINE_CHARS)
    assert len(line) <= LINE_CHARS
    assert line.endswith("…")


def test_a_night_of_one_bar_is_its_last_frame() -> None:
    frames = b"".join(
        b"\r%3d%%|####| %d/20000 [00:10<00:20, 99it/s]" % (i // 200, i) for i in range(20000)
    )
    data = b"start\n" + frames + b"\nend\n"
    reduced = last_frames(data)
    assert len(reduced) < 200
    assert lines_of(reduced) == lines_of(data)


def test_the_open_line_is_the_bar_that_is_being_drawn() -> None:
    screen = Screen()
    assert screen.feed(b"start\n\r 10%\r 20%") == ["start"]
    assert screen.open == " 20%"


def test_bars_of_tqdm_below_each_other_leave_one_frame_each() -> None:
    tqdm = pytest.importorskip("tqdm")
    stream = io.StringIO()
    outer = tqdm.tqdm(total=3, desc="fold", file=stream, mininterval=0, position=0)
    for _ in range(3):
        inner = tqdm.tqdm(
            total=4, desc="epoch", file=stream, mininterval=0, position=1, leave=False
        )
        for _ in range(4):
            inner.update()
        inner.close()
        outer.update()
    outer.close()
    stream.write("after\n")
    data = stream.getvalue().encode()
    lines = lines_of(data, depth=depth_of(data))
    assert [line.partition(":")[0] for line in lines if line.strip()] == ["fold", "after"]
    assert "3/3" in lines[0]


def test_a_live_display_of_rich_leaves_its_last_frame() -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=60, height=20)

    def picture(step: int) -> Table:
        table = Table.grid()
        table.add_row(f"epoch {step}")
        table.add_row(f"loss {1 / step}")
        return table

    with Live(console=console, auto_refresh=False) as live:
        for step in range(1, 9):
            live.update(picture(step), refresh=True)
    console.print("after")
    data = stream.getvalue().encode()
    lines = [line.strip() for line in lines_of(data, depth=depth_of(data)) if line.strip()]
    assert lines == ["epoch 8", "loss 0.125", "after"]
