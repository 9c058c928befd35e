"""Looks at a job before it is left alone: all questions, one list of findings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace

from overnight.preflight.ask import Background, ask
from overnight.preflight.check import Json, Level
from overnight.preflight.target.code import (
    check_arguments,
    check_names,
    check_syntax,
    check_variables,
)
from overnight.preflight.target.disk import Disk
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.imports import Imports
from overnight.preflight.target.installed import Answer, ask_python, check_requirements
from overnight.preflight.target.job import Job
from overnight.preflight.target.needs import check_hub, check_machine, check_workers
from overnight.preflight.target.program import Program, parse_source
from overnight.preflight.target.prompts import check_prompts, check_shell_script
from overnight.redact import redact

#: In which order the findings are shown.
_ORDER = (
    "code", "names", "arguments", "imports", "installs", "inputs", "outputs", "hub", "prompts",
    "environment", "workers", "notebook", "command", "gpu", "memory", "shm", "disk",
)  # fmt: skip
#: What a notebook's conversion finds → where it is shown here.
_OF_NOTEBOOK = {
    "asks_person": "prompts", "env_missing": "environment", "google_auth": "prompts",
    "install_missing": "installs", "install_differs": "installs", "import_missing": "imports",
    "python_silent": "imports", "platform_path": "inputs", "map_target_missing": "inputs",
    "map_unused": "inputs", "input_missing": "inputs", "cell_not_python": "code", "no_code": "code",
    "async_statement": "code", "name_undefined": "names", "name_close": "names",
    "name_later": "names", "name_later_line": "names", "name_history": "names",
    "spawned_workers": "workers",
}  # fmt: skip
_LEVELS: dict[str, Level] = {"blocks": "bad", "warns": "warn"}
#: A network disk, or an interpreter on one.
_TIMEOUT_S = 240.0


def look(job: Job) -> list[Finding]:
    """Everything that can be known of a job without running it, in the order it is shown.

    Nothing of the job is run. The job's own Python is asked which modules it has, in a child.
    """
    findings = _look_at_code(job) if job.kind != "command" else _look_at_command(job)
    order = {name: at for at, name in enumerate(_ORDER)}
    clean = [_without_secrets(finding, job) for finding in findings]
    return sorted(clean, key=lambda finding: order.get(finding.name, len(order)))


def _without_secrets(finding: Finding, job: Job) -> Finding:
    """A finding that quotes the job (a path, a command, its arguments) without its secrets."""

    def clean(value: object) -> object:
        return redact(value, job.env) if isinstance(value, str) else value

    facts: dict[str, Json] = {
        key: redact(value, job.env) if isinstance(value, str) else value
        for key, value in finding.facts.items()
    }
    fields = {key: clean(value) for key, value in finding.fields.items()}
    return replace(finding, facts=facts, fields=fields)


def _look_at_command(job: Job) -> list[Finding]:
    findings = check_machine(job, None)
    script = next((arg for arg in job.args if arg.endswith(".sh")), "")
    path = os.path.join(job.cwd, script)
    if os.path.basename(job.path) in ("bash", "sh", "zsh") and os.path.isfile(path):
        answer = ask([job.path, "-n", path], timeout_s=10, cwd=job.cwd)
        if answer.outcome == "ended" and answer.returncode != 0:
            reason = answer.stderr.strip().partition("\n")[0][-200:]
            fields = {"reason": reason, "file": script}
            findings.append(Finding("code", "bad", "shell_syntax", {"reason": reason}, fields))
        findings += check_shell_script(path)
    fields = {"program": os.path.basename(job.path)}
    findings.append(Finding("command", "unknown", "not_read", fields, fields))
    return findings


def _look_at_code(job: Job) -> list[Finding]:
    try:
        source = job.source
    except OSError as error:
        fields = {"file": job.path, "reason": error.strerror or str(error)}
        return [Finding("code", "bad", "unreadable", fields, fields)]
    tree = parse_source(source, job.path)
    program = Program(job, tree) if tree is not None else None
    imports = Imports(program) if program is not None else None
    with tempfile.TemporaryDirectory(prefix="overnight-check-") as folder:
        answering = Background(lambda: _ask(job, program, imports, folder))
        requirements = Background(lambda: check_requirements(job))
        own: list[Finding] = []
        if program is not None:
            for part in (check_names, check_arguments, check_prompts, check_variables, check_hub):
                own += part(program)
            own += Disk(program).check()
        own += check_machine(job, program)
        answer = answering.result(_TIMEOUT_S)
        own += requirements.result(_TIMEOUT_S)
    findings = [*check_syntax(job, answer), *_of_notebook(job)]
    if program is None:
        if answer is not None and answer.syntax is None:
            fields = {"file": os.path.basename(job.path)}
            findings.append(Finding("code", "unknown", "not_followed", fields, fields))
        return findings + own
    assert imports is not None
    if answer is not None:
        findings += _without_repeats(imports.check(answer), findings)
        own += check_workers(program, answer.version)
    return _with_good(job, [*findings, *own], imports)


def _ask(job: Job, program: Program | None, imports: Imports | None, folder: str) -> Answer | None:
    if program is None or imports is None:
        return ask_python(job, (), (), [job.folder], folder)
    shadows = sorted(imports.shadowing())
    return ask_python(job, imports.names(), shadows, program.roots, folder)


def _of_notebook(job: Job) -> list[Finding]:
    """What the conversion of a notebook found, in our words."""
    findings = []
    for item in job.found:
        level = _LEVELS.get(item.level)
        name = item.key.partition(".")[2]
        if level is None or name == "input_missing" and item.key == "run.input_missing":
            continue
        where = f"{item.cell}:{item.line}" if item.cell else ""
        fields = dict(item.fields)
        findings.append(
            Finding(_OF_NOTEBOOK.get(name, "notebook"), level, name, {**fields}, fields, where,
                    key=item.key)
        )  # fmt: skip
    return findings


def _without_repeats(found: Sequence[Finding], known: Sequence[Finding]) -> list[Finding]:
    """Findings on modules the notebook's own check has not named already."""
    said = {str(item.fields.get("module")) for item in known if item.name == "imports"}
    return [
        item
        for item in found
        if str(item.fields.get("module", "")).partition(".")[0] not in said or item.level == "ok"
    ]


def _with_good(job: Job, findings: list[Finding], imports: Imports) -> list[Finding]:
    """Adds a ✓ for everything that was looked at and found in order."""
    bad = {item.name for item in findings if item.level != "ok"}
    have = {item.name for item in findings}
    if "imports" not in bad:
        num = len({name.partition(".")[0] for name in imports.names()} | set(imports.local))
        facts = {"num": num}
        findings.append(Finding("imports", "ok", "found" if num else "none", facts, facts))
    if "prompts" not in have:
        findings.append(Finding("prompts", "ok", "none"))
    if job.kind == "notebook" and "installs" not in have and job.conversion is not None:
        num = len(job.conversion.installs)
        if num:
            findings.append(Finding("installs", "ok", "met_notebook", {"num": num}, {"num": num}))
    return findings
