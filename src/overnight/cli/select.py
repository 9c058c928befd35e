"""Which run a word means: a name, an id, the beginning of an id, a folder, or nothing."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

from overnight.cli.output import plain
from overnight.errors import RunNotFound
from overnight.ledger import index
from overnight.ledger.files import read_json
from overnight.ledger.format import time_us
from overnight.ledger.index import Entry
from overnight.ledger.paths import RunPaths, find_root, runs_of, state_dir
from overnight.ledger.state import Finished, view

_LATEST = "latest-"

#: An error or a completion lists no more than these.
_NEAR_AT_MOST, _COMPLETED_AT_MOST = 5, 100


def known(root: str | None = None) -> list[Entry]:
    """Every run of the index, newest first; with ``root``, every run below that folder.

    Below a root also those count that the index has never heard of: a copied folder, a run of
    another user or machine. Without any index it is the current folder's root.
    """
    entries = index.entries()
    if root is None:
        return entries or _found_in(find_root(os.getcwd()), ())
    root = find_root(os.getcwd(), root)
    return _found_in(root, [entry for entry in entries if _same(entry.run.root, root)])


def _found_in(root: str, indexed: Sequence[Entry]) -> list[Entry]:
    names = {entry.run.run_id: entry for entry in indexed}
    found = list(indexed)
    for run in runs_of(root):
        twin = names.get(run.run_id)
        if twin is None or not _same(twin.run.dir, run.dir):
            found.append(entry_of(run))
    return sorted(found, key=lambda entry: (-entry.created_us, entry.run.dir))


def entry_of(run: RunPaths) -> Entry:
    """What the index would say of a run it does not know."""
    info = _run_json(run)
    name = info.get("name")
    created_us = time_us(info.get("created_us")) or 0
    if not created_us:
        try:
            created_us = int(os.stat(run.dir).st_mtime * 1e6)
        except OSError:
            created_us = 0
    return Entry(run, name if isinstance(name, str) else run.run_id, run.kind, created_us, None)


def _run_json(run: RunPaths) -> dict[str, object]:
    try:
        return read_json(run.run_json) or {}
    except OSError:  # somebody else's, not ours to read
        return {}


def is_there(run: RunPaths) -> bool:
    """Whether the run's folder still exists."""
    return os.path.isdir(run.dir)


def find(
    word: str | None, *, root: str | None = None, fits: Callable[[RunPaths], bool] | None = None
) -> RunPaths:
    """The run that ``word`` means.

    In this order: the path of a run's folder; ``latest-<kind>``, the newest of the root that has
    finished (``latest-train``: pipelines train, too); an id; a name (the newest run of that name);
    the beginning of exactly one id. None is the newest run. Where one id is taken in several roots,
    the current root's run is meant.

    Args:
        word: What the person typed.
        root: Look only below this root.
        fits: Runs that are rather meant than others: where one of them answers to the word, the
            others are not looked at.

    Raises:
        RunNotFound: No run answers to the word, or several do.
    """
    if word is not None:
        by_path = _by_path(word)
        if by_path is not None:
            return by_path
        if word.startswith(_LATEST):
            newest = _newest(word.removeprefix(_LATEST), find_root(os.getcwd(), root))
            if newest is not None:
                return newest
    entries = known(root)
    where = os.path.abspath(root) if root is not None else state_dir()
    if word is None:
        for entry in entries:
            if is_there(entry.run):
                return entry.run
        raise RunNotFound("show.no_runs", where=where)
    if fits is not None:
        with contextlib.suppress(RunNotFound):
            return _by_word(word, [entry for entry in entries if fits(entry.run)], where)
    return _by_word(word, entries, where)


def _newest(kind: str, root: str) -> RunPaths | None:
    """The newest run of a root that is of that kind and has finished."""
    kinds = ("train", "pipeline") if kind == "train" else (kind,)
    for entry in known(root):
        is_meant = entry.run.kind in kinds and is_there(entry.run)
        if is_meant and isinstance(view(entry.run).state, Finished):
            return entry.run
    return None


def _by_word(word: str, entries: Sequence[Entry], where: str) -> RunPaths:
    sought = _spelling(word)
    same_id, same_name, same_start = [], [], []
    for entry in entries:
        run_id = _spelling(entry.run.run_id)
        if run_id == sought:
            same_id.append(entry)
        elif _spelling(entry.name) == sought:
            same_name.append(entry)
        elif sought and run_id.startswith(sought):
            same_start.append(entry)
    here = [entry.run for entry in same_id if is_there(entry.run)]
    if here:
        return _the_one(word, here, where)
    for entry in same_name:
        if is_there(entry.run):
            return entry.run
    started = [entry.run for entry in same_start if is_there(entry.run)]
    if started:
        return _the_one(word, started, where)
    shown = plain(word, 80)
    near = _near(sought, entries)
    key = "show.no_such_run_near" if near else "show.no_such_run"
    raise RunNotFound(key, where=where, word=shown, near=", ".join(near))


def _the_one(word: str, runs: Sequence[RunPaths], where: str) -> RunPaths:
    """The only one of ``runs``; of those with one id, the current root's."""
    if len(runs) == 1:
        return runs[0]
    if len({run.run_id for run in runs}) == 1:
        root = find_root(os.getcwd())
        in_root = [run for run in runs if _same(run.root, root)]
        if len(in_root) == 1:
            return in_root[0]
        shown = [plain(run.dir) for run in runs]
    else:
        shown = [plain(run.run_id) for run in runs]
    listed = ", ".join(shown[:_NEAR_AT_MOST])
    more = len(shown) - _NEAR_AT_MOST
    raise RunNotFound(
        "show.ambiguous",
        where=where,
        word=plain(word, 80),
        count=len(shown),
        runs=listed + (f" … (+{more})" if more > 0 else ""),
    )


def _by_path(word: str) -> RunPaths | None:
    """The run whose folder ``word`` is; a link (latest-run/…) leads to the run itself."""
    if os.sep not in word and not word.startswith((".", "~")):
        return None  # a folder here that happens to have a run's name is not meant
    try:
        folder = os.path.realpath(os.path.expanduser(word))
        if not os.path.isfile(os.path.join(folder, "run.json")):
            return None
    except (OSError, ValueError):  # a zero byte; a name longer than any file's
        return None
    return RunPaths(folder)


def _near(sought: str, entries: Iterable[Entry]) -> list[str]:
    """Names and ids that look like what was typed."""
    from difflib import get_close_matches

    words: dict[str, str] = {}
    for entry in entries:
        for text in (entry.name, entry.run.run_id):
            words.setdefault(_spelling(text), text)
        if len(words) > 400:  # the newest are the likeliest; thousands would take seconds
            break
    close = get_close_matches(sought[:200], words, n=3, cutoff=0.6)
    close += [word for word in words if sought and sought in word and word not in close]
    return [plain(words[word]) for word in close[:_NEAR_AT_MOST]]


def _spelling(text: str) -> str:
    """Hangul composed: the same name comes in two spellings, by keyboard and by file system."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _same(path: str, other: str) -> bool:
    return path == other or os.path.realpath(path) == os.path.realpath(other)


def complete_run(incomplete: str) -> Iterator[str]:
    """Completions of RUN for the shell: names and ids, the newest first."""
    offered: set[str] = set()
    sought = _spelling(incomplete)
    entries = index.entries()
    for texts in ([entry.name for entry in entries], [entry.run.run_id for entry in entries]):
        for text in texts:
            if len(offered) >= _COMPLETED_AT_MOST:
                return
            if _spelling(text).startswith(sought) and text not in offered and text == plain(text):
                offered.add(text)
                yield text
