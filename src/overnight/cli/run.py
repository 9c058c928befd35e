"""``overnight run``: start a job that outlives the terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from overnight.cli.output import print_json, quoted
from overnight.errors import UserError
from overnight.messages import say

#: Options of ``run`` and whether they take a value: the command line is split by them before
#: typer sees it, since behind TARGET what is not ours is the job's.
_OPTIONS = {
    "--name": True, "--set": True, "--map": True, "--env": True, "--python": True,
    "--restart": True, "--stall-after": True, "--label": True, "--kind": True, "--root": True,
    "--follow": False, "-f": False, "--json": False, "--help": False, "-h": False,
}  # fmt: skip
#: Options whose field is no identifier, or a word of Python's own.
_FIELDS = {"--set": "set_", "--map": "map_"}
_MAX_DIGITS = 9
_KINDS = ("run", "train", "optimization", "infer", "pipeline")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")


def arrange(words: Sequence[str]) -> list[str]:
    """Puts our options in front, so that all behind ``--`` is the target and the job's arguments.

    Before TARGET an option we do not know is an error; behind it, it is the job's. Behind ``--``
    everything is the job's, and without a TARGET before it everything is the command.
    """
    ours: list[str] = [words[0]]
    theirs: list[str] = []
    target = False
    at = 1
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            rest = list(words[at:])
            return [*ours, "--", *(theirs if target else [""]), *rest]
        name, equals, _ = word.partition("=")
        # Behind TARGET a short option is the job's: -f and -h mean too many things elsewhere.
        if name in _OPTIONS and (word.startswith("--") or not (equals or target)):
            ours.append(word)
            if _OPTIONS[name] and not equals and at < len(words) and words[at] != "--":
                ours.append(words[at])
                at += 1
        elif not target and word.startswith("-") and word != "-":
            ours.append(word)  # typer says what is wrong with it
        else:
            target = True
            theirs.append(word)
    return [*ours, "--", *theirs] if theirs else ours


def plain(words: Sequence[str]) -> dict[str, Any] | None:
    """What ``go`` takes, read off arranged words; None where the parser has something to say.

    The parser takes 0.13 s to import, half of what ``overnight run`` may take until the job runs.
    """
    divider = words.index("--") if "--" in words else len(words)
    theirs = words[divider + 1 :]
    found: dict[str, Any] = {"target": "".join(theirs[:1]), "args": theirs[1:]}
    found.update({name: [] for name in ("set_", "map_", "env", "label")})
    ours = iter(words[1:divider])
    for word in ours:
        name, equals, value = word.partition("=")
        if not _OPTIONS.get(name):
            if word not in ("--follow", "-f", "--json"):
                return None
            found["json" if word == "--json" else "follow"] = True
            continue
        if not equals:
            following = next(ours, None)
            if following is None:
                return None
            value = following
        field = _FIELDS.get(name, name[2:].replace("-", "_"))
        if isinstance(found.get(field), list):
            found[field].append(value)
        elif field == "restart":
            if not (value.isascii() and value.isdigit()) or len(value) > _MAX_DIGITS:
                return None
            found[field] = int(value)
        else:
            found[field] = value
    return found if len(words) > 1 else None


def go(
    *,
    target: str = "",
    args: Sequence[str] = (),
    name: str | None = None,
    follow: bool = False,
    set_: Sequence[str] = (),
    map_: Sequence[str] = (),
    env: Sequence[str] = (),
    python: str | None = None,
    restart: int = 0,
    stall_after: str | None = None,
    label: Sequence[str] = (),
    kind: str = "run",
    root: str | None = None,
    json: bool = False,
) -> int | None:
    """The verb itself; the options are those of the command line."""
    from overnight.start import Asked, start

    problems: list[UserError] = []
    asked = Asked(
        target=target,
        args=args,
        name=name,
        overrides=pairs(set_, "--set", problems),
        path_map=pairs(map_, "--map", problems),
        env=_variables(env),
        python=python,
        restart=restart,
        stall_after_s=_span(stall_after, problems),
        labels=label,
        kind=_kind(kind, problems),
        root=root,
    )
    if json and follow:
        problems.append(UserError("run.json_and_follow", where="--json --follow"))
    started = start(asked, problems)
    if json:
        print_json(
            "run",
            run_id=started.run.run_id,
            name=started.name,
            dir=started.run.dir,
            log=started.run.log,
            job_pid=started.job_pid,
            script=started.script or None,
            findings=[
                {"level": f.level, "cell": f.cell, "line": f.line, "key": f.key}
                for f in started.findings
            ],
        )
        return None
    _announce(started)
    if follow:
        from overnight.cli.follow import follow as follow_run

        return follow_run(started.run)
    return None


def _announce(started: Any) -> None:
    """Says that it runs, and how to follow, stop and find it."""
    if started.overrides_diff:
        print(started.overrides_diff.rstrip("\n"), file=sys.stderr)
    for finding in started.findings:
        if finding.level == "warns":
            where = say("run.cell", cell=finding.cell, line=finding.line)
            print(f"! {where} {finding.text}", file=sys.stderr)
    run = started.run
    if started.unlisted:
        unlisted = say("run.unlisted", reason=started.unlisted, root=quoted(run.root))
        print(f"! {unlisted}", file=sys.stderr)
    word = quoted(run.run_id)
    print(say("run.started", name=started.name, pid=started.job_pid, run=word, log=run.log))
    if started.script:
        print(say("run.script", script=started.script))


def pairs(items: Sequence[str], option: str, problems: list[UserError]) -> dict[str, str]:
    """``KEY=VALUE`` items as a mapping."""
    found: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key or not equals:
            problems.append(UserError("run.pair_form", where=f"{option} {item}", option=option))
        found[key] = value
    return found


def _variables(items: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for item in items:
        name, equals, value = item.partition("=")
        found[name] = value if equals else None
    return found


def _span(text: str | None, problems: list[UserError]) -> float | None:
    """``90``, ``90s``, ``10m``, ``2h`` in seconds."""
    if text is None:
        return None
    match = _SPAN.fullmatch(text.strip())
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"] if match else 0.0
    if seconds <= 0:
        problems.append(UserError("run.span_form", where=f"--stall-after {text}"))
        return None
    return seconds


def _kind(kind: str, problems: list[UserError]) -> str:
    if kind not in _KINDS:
        kinds = ", ".join(_KINDS)
        problems.append(UserError("run.kind_form", where=f"--kind {kind}", kinds=kinds))
    return kind
