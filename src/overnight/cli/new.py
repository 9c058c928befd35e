"""``overnight new``: a config to train with, and what a project needs beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from overnight import tasks
from overnight.cli.output import cells, echo, pad, plain, print_json, quoted
from overnight.errors import UserError, UserErrors
from overnight.messages import say

if TYPE_CHECKING:
    from overnight.tasks.base import Found, Starter, TaskInfo

_CONFIG = Path("configs", "train.yaml")
_PLAIN = "plain"
#: What runs leave in a root, and the secrets beside them. Anchored, so that a package of yours that
#: is called logs stays in git.
_IGNORED = (
    ".env", "/experiments/", "/logs/", "/mlartifacts/", "/mlruns/", "/mlflow.db*", "/wandb/",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Adds ``new``."""

    @app.command(help=say("new.help"))
    def new(
        folder: Annotated[Path, typer.Argument(help=say("new.folder"))] = Path(),
        task: Annotated[
            str | None, typer.Option(help=say("new.task", known=", ".join(tasks.ROWS)))
        ] = None,
        preset: Annotated[str | None, typer.Option(help=say("new.preset"))] = None,
        data: Annotated[
            Path | None, typer.Option(metavar="DIR", help=say("new.data"), show_default=False)
        ] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        folder = _home(folder)
        problems: list[UserError] = []
        if folder.exists() and not folder.is_dir():
            problems.append(UserError("new.not_a_folder", where=folder))
        elif (folder / _CONFIG).exists() and (task or preset or data):
            problems.append(UserError("new.exists", where=folder / _CONFIG))
        info = _task(task or next(iter(tasks.ROWS)), problems)
        starter = _starter(info, problems)
        chosen = _preset(preset or _PLAIN, starter, problems)
        found = _look(_home(data), starter, problems) if data and starter else None
        if problems:
            raise UserErrors(problems)
        assert info is not None
        assert starter is not None
        values: dict[str, Any] = {"project.name": _name(folder), **chosen}
        values |= _relative(found.values, folder) if found else starter.placeholders
        same = {key: value for key, value in values.items() if key.startswith("data.")}
        made = _make(folder, info, starter, values, _data_of(folder / _CONFIG) or same)
        if json:
            _answer(folder, info, preset or _PLAIN, made, found)
        else:
            _announce(folder, made, found)


@dataclass(slots=True)
class _Files:
    """What became of each file, relative to the project's folder."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


# ── what was asked for ──────────────────────────────────────────────────────────────────────


def _home(path: Path) -> Path:
    """With the home folder for ``~``; Path's own fails where there is no such user."""
    return Path(os.path.expanduser(path))


def _task(word: str, problems: list[UserError]) -> TaskInfo | None:
    from overnight import plugins

    info = tasks.find(word)
    if info is None:
        known = plugins.words(tasks.GROUP, tasks.ROWS)
        near = plugins.nearest(word, known)
        key = "new.task_unknown" if near is None else "new.task_near"
        fields = {"word": plain(word, 40), "near": near, "known": ", ".join(known)}
        problems.append(UserError(key, where="--task", **fields))
    return info


def _starter(info: TaskInfo | None, problems: list[UserError]) -> Starter | None:
    from importlib import import_module

    if info is None:
        return None
    if not info.starter:
        problems.append(UserError("new.no_starter", where="--task", word=info.name))
        return None
    module, _, name = info.starter.partition(":")
    starter: Starter = getattr(import_module(module), name)()
    return starter


def _preset(word: str, starter: Starter | None, problems: list[UserError]) -> Mapping[str, Any]:
    if starter is None:
        return {}
    if word not in starter.presets:
        known = ", ".join(starter.presets)
        fields = {"word": plain(word, 40), "known": known}
        problems.append(UserError("new.preset_unknown", where="--preset", **fields))
        return {}
    return starter.presets[word]


def _look(place: Path, starter: Starter, problems: list[UserError]) -> Found | None:
    try:
        return starter.look(place.absolute())
    except UserErrors as error:
        problems += error.errors
    except UserError as error:
        problems.append(error)
    return None


def _name(folder: Path) -> str:
    from overnight.ledger.paths import name_from

    return name_from(str(folder.absolute().resolve()))


def _relative(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Paths below the project as the config sees them, so that the project can be moved."""
    from overnight.spec.variables import literal

    root, config = folder.resolve(), (folder / _CONFIG).resolve().parent
    found = dict(values)
    for key, value in values.items():
        if isinstance(value, Path):
            path = value.resolve()
            text = os.path.relpath(path, config) if path.is_relative_to(root) else str(path)
            found[key] = literal(text)
        elif isinstance(value, str):
            found[key] = literal(value)
    return found


# ── the files ───────────────────────────────────────────────────────────────────────────────


def _make(
    folder: Path,
    info: TaskInfo,
    starter: Starter,
    values: Mapping[str, Any],
    data: Mapping[str, Any],
) -> _Files:
    """Writes what is not there yet.

    Args:
        folder: The project.
        info: The task.
        starter: Its first configs.
        values: Of the first config.
        data: Where the data are, for the other configs.
    """
    from overnight.spec import first

    texts = {str(_CONFIG): first.text(info, values, starter.shown)}
    for word, own in starter.configs.items():
        document = first.nested({"task": info.name, "mode": "basic", **data, **own})
        texts[str(_CONFIG.with_name(f"train_{word}.yaml"))] = first.short(word, document)
    for word, own in starter.searches.items():
        text = first.short(word, own, "tuning")
        texts[str(_CONFIG.with_name(f"{word}_config.yaml"))] = text
    texts |= {".env.template": say("new.env_file"), "overnight.yaml": say("new.root_file")}
    files = _Files()
    try:
        (folder / _CONFIG).parent.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            try:
                with (folder / name).open("x", encoding="utf-8", newline="\n") as file:
                    file.write(text)
            except FileExistsError:
                files.kept.append(name)
            else:
                files.made.append(name)
        _ignore(folder / ".gitignore", files)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        where = error.filename or folder
        raise UserErrors([UserError("new.unwritable", where=where, reason=reason)]) from error
    return files


def _data_of(config: Path) -> dict[str, Any]:
    """Where the data of a config that is there are; empty where it does not say so."""
    from overnight import yaml_tree

    tree = yaml_tree.read(str(config), [], max_kib=256)
    data = None if tree is None or tree.kind != "map" else tree.get("data")
    if data is None or data.kind != "map":
        return {}
    kept = {name.text: value.data() for name, value in data.pairs if name.is_scalar}
    return {f"data.{name}": value for name, value in kept.items() if "fold" not in name}


def _ignore(path: Path, files: _Files) -> None:
    """Appends the lines that a .gitignore lacks."""
    is_there = path.exists()
    text = path.read_text(encoding="utf-8", errors="surrogateescape") if is_there else ""
    there = {line.strip().strip("/") for line in text.splitlines()}
    missing = [line for line in _IGNORED if line.strip("/") not in there]
    if not missing:
        files.kept.append(path.name)
        return
    begin = "" if not text or text.endswith("\n") else "\n"
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(begin + "".join(line + "\n" for line in missing))
    (files.changed if is_there else files.made).append(path.name)


# ── the answer ──────────────────────────────────────────────────────────────────────────────


def _answer(folder: Path, info: TaskInfo, preset: str, made: _Files, found: Found | None) -> None:
    values = None
    if found is not None:
        values = {
            key: str(value) if isinstance(value, Path) else value
            for key, value in found.values.items()
        }
    print_json(
        "new",
        folder=str(folder.absolute()),
        config=str((folder / _CONFIG).absolute()),
        task=info.name,
        preset=preset,
        made=made.made,
        changed=made.changed,
        kept=made.kept,
        found=values,
        num_rows=found.num_rows if found else None,
        num_classes=found.num_classes if found else None,
    )


def _announce(folder: Path, made: _Files, found: Found | None) -> None:
    rows = [
        *((say("new.made"), name) for name in made.made),
        *((say("new.changed"), name) for name in made.changed),
        *((say("new.kept"), name) for name in made.kept),
    ]
    width = max(cells(word) for word, _ in rows)
    for word, name in rows:
        echo(f"{pad(word, width)}  {plain(folder / name)}")
    config = quoted(plain(folder / _CONFIG))
    if found is None and str(_CONFIG) in made.made:
        echo(say("new.next_without", config=config))
        echo(say("new.next_night", config=config))
        return
    if found is not None:
        facts = [str(found.values.get("data.format", ""))]
        if found.num_rows is not None:
            facts.append(say("new.num_rows", count=found.num_rows))
        if found.num_classes is not None:
            facts.append(say("new.num_classes", count=found.num_classes))
        told = {key.partition(".")[2]: value for key, value in found.values.items()}
        facts += [f"{key} {value}" for key, value in told.items() if key.endswith("_col")]
        echo(say("new.found", text=plain(", ".join(filter(None, facts)))))
    echo(say("new.next", config=config))
    echo(say("new.next_night", config=config))
