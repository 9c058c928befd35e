"""``overnight convert``: a notebook as a script that runs alone."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.errors import NotebookError, UserError, UserErrors
from overnight.messages import say

if TYPE_CHECKING:
    from overnight.notebook import Conversion, Finding

_MARKS = {"blocks": "✗", "warns": "!", "notes": "·"}


def register(app: typer.Typer) -> None:
    """Adds ``convert``."""

    @app.command(help=say("notebook.help"), no_args_is_help=True)
    def convert(
        notebook: Annotated[Path, typer.Argument(help=say("notebook.help.notebook"))],
        output: Annotated[
            Path | None, typer.Option("--output", "-o", help=say("notebook.help.output"))
        ] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="NAME=VALUE", help=say("notebook.help.set")),
        ] = None,
        map_: Annotated[
            list[str] | None,
            typer.Option("--map", metavar="FROM=TO", help=say("notebook.help.map")),
        ] = None,
        python: Annotated[
            str | None, typer.Option(metavar="PATH", help=say("notebook.help.python"))
        ] = None,
        force: Annotated[bool, typer.Option("--force", help=say("notebook.help.force"))] = False,
        json: Annotated[bool, typer.Option("--json", help=say("notebook.help.json"))] = False,
    ) -> int:
        from overnight.notebook import check_installs
        from overnight.notebook import convert as convert_notebook
        from overnight.notebook.kernel import kernel_python
        from overnight.preflight.python import job_python

        problems: list[UserError] = []
        overrides = _pairs(set_ or (), "--set", "--set EPOCHS=1", problems)
        paths = _pairs(map_ or (), "--map", "--map /kaggle/input=./data", problems)
        if problems:
            raise UserErrors(problems)
        script = output if output is not None else notebook.with_name(notebook.stem + ".py")
        conversion = convert_notebook(notebook, overrides=overrides, paths=paths)
        kernel = kernel_python(conversion.kernel, os.environ) if conversion.kernel else ""
        interpreter = job_python(python or kernel or None, os.environ)[0]
        findings = [
            *conversion.findings,
            *check_installs(
                conversion.installs,
                interpreter,
                imports=conversion.imports,
                folder=notebook.absolute().parent,
            ),
        ]
        _write(script, conversion.source, notebook, force=force)
        if json:
            _print_json(notebook, script, conversion, findings)
        else:
            _print(notebook, script, conversion, findings, [*(set_ or ())], [*(map_ or ())])
        return 2 if any(finding.level == "blocks" for finding in findings) else 0


def _pairs(
    items: Sequence[str], option: str, example: str, problems: list[UserError]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key.strip() or not equals or (option == "--map" and not value):
            problems.append(
                UserError("notebook.pair", where=option, option=option, given=item, example=example)
            )
        found[key.strip()] = value
    return found


def _write(script: Path, source: str, notebook: Path, *, force: bool) -> None:
    """Write the script; another's file is left alone without ``--force``."""
    from overnight.notebook.script import SIGNATURE

    try:
        if script.exists():
            if script.is_dir():
                raise NotebookError("notebook.not_written", where=script, reason=os.strerror(21))
            if script.samefile(notebook):
                raise NotebookError("notebook.same_file", where=script, file=script)
            with script.open("rb") as file:
                is_ours = file.read(len(SIGNATURE)) == SIGNATURE.encode()
            if not is_ours and not force:
                raise NotebookError("notebook.exists", where=script, file=script)
        aside = script.with_name(f".{script.name[:60]}.{os.getpid()}.tmp")
        aside.write_text(source, encoding="utf-8", newline="\n")
        aside.replace(script)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotebookError("notebook.not_written", where=script, reason=reason) from error


def _print_json(
    notebook: Path, script: Path, conversion: Conversion, findings: Sequence[Finding]
) -> None:
    from overnight.cli.output import print_json

    print_json(
        "convert",
        notebook=str(notebook),
        script=str(script),
        num_cells=conversion.num_cells,
        kernel=conversion.kernel,
        overrides_diff=conversion.overrides_diff,
        mapped=dict(conversion.mapped),
        installs=[
            {"requirement": item.requirement, "tool": item.tool, "cell": item.cell,
             "line": item.line, "conditional": item.conditional}
            for item in conversion.installs
        ],
        inputs=[
            {"path": item.path, "cell": item.cell, "line": item.line} for item in conversion.inputs
        ],
        findings=[
            {"level": f.level, "cell": f.cell, "line": f.line, "key": f.key,
             "fields": dict(f.fields)}
            for f in findings
        ],
    )  # fmt: skip


def _print(
    notebook: Path,
    script: Path,
    conversion: Conversion,
    findings: Sequence[Finding],
    overrides: Sequence[str],
    maps: Sequence[str],
) -> None:
    from overnight.redact import redact

    lines = [say("notebook.done", script=script, count=conversion.num_cells)]
    for folder, target in conversion.mapped.items():
        lines.append("  " + say("notebook.mapped", folder=folder, target=target))
    if conversion.installs:
        named = ", ".join(dict.fromkeys(item.requirement for item in conversion.installs))
        lines.append("  " + say("notebook.installs", list=named))
    if conversion.overrides_diff:
        lines.append("  " + say("notebook.parameters"))
        lines += ["    " + line for line in conversion.overrides_diff.split("\n")
                  if line[:1] in "+-" and line[:3] not in ("+++", "---")]  # fmt: skip
    rank = {"blocks": 0, "warns": 1, "notes": 2}
    for finding in sorted(findings, key=lambda f: (rank[f.level], f.cell, f.line)):
        level = say("notebook.level." + finding.level)
        lines.append(f"{_mark(finding.level)} {level}  {_place(finding)}: {finding.text}")
        if finding.fix and finding.level != "notes":
            lines.append("      " + finding.fix)
    num_blocks = sum(finding.level == "blocks" for finding in findings)
    if num_blocks:
        lines.append(say("notebook.blocked", count=num_blocks))
    else:
        options = [*(f"--set {shlex.quote(item)}" for item in overrides),
                   *(f"--map {shlex.quote(item)}" for item in maps)]  # fmt: skip
        command = " ".join(["overnight run", shlex.quote(str(notebook)), *options])
        lines.append(say("notebook.next", command=command))
    print(redact("\n".join(lines)))


def _mark(level: str) -> str:
    encoding = (sys.stdout.encoding or "ascii").lower()
    return _MARKS[level] if encoding.startswith("utf") else {"blocks": "x"}.get(level, "-")


def _place(finding: Finding) -> str:
    if finding.line:
        return say("notebook.place", cell=finding.cell, line=finding.line)
    if finding.cell:
        return say("notebook.place_cell", cell=finding.cell)
    return say("notebook.place_whole")
