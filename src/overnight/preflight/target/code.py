"""Does the job parse in its own Python? Are the names it uses, and its arguments, known?"""

from __future__ import annotations

import ast
import os

from overnight.notebook import names
from overnight.preflight.check import Level
from overnight.preflight.target import options
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.installed import Answer
from overnight.preflight.target.job import Job
from overnight.preflight.target.program import Program

#: Set for each process by the programs that start several.
_LAUNCHER_VARIABLES = frozenset({
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
    "NODE_RANK", "GROUP_RANK",
})  # fmt: skip


def check_syntax(job: Job, answer: Answer | None) -> list[Finding]:
    """Whether the job's own Python can read it."""
    if answer is None:
        fields = {"python": job.python}
        return [Finding("code", "bad", "python_silent", fields, fields)]
    version = ".".join(map(str, answer.version))
    fields = {"version": version, "file": os.path.basename(job.path)}
    facts = {"version": version}
    if answer.syntax is not None:
        line, text = answer.syntax
        fields["reason"] = text
        facts["reason"] = text
        return [Finding("code", "bad", "syntax", facts, fields, job.where(line))]
    return [Finding("code", "ok", "parses", facts, fields)]


def check_names(program: Program) -> list[Finding]:
    """Names a script uses and nobody defines; a notebook's are found when it is converted."""
    if program.job.kind != "script":
        return []
    findings = []
    for item in names.check([(1, program.entry.tree)], {}):
        name = item.fields.get("name", "")
        if name in ("__file__", "WindowsError", "unicode", "xrange", "raw_input"):
            continue
        codes = {
            "notebook.name_undefined": "undefined",
            "notebook.name_close": "close",
            "notebook.name_later_line": "later",
        }
        code = codes.get(item.key)
        if code is None:
            continue
        level: Level = "bad" if item.level == "blocks" else "warn"
        fields = dict(item.fields)
        where = program.job.where(item.line)
        findings.append(Finding("names", level, code, {"name": name}, fields, where))
    return findings


def check_arguments(program: Program) -> list[Finding]:
    """Whether the script would refuse the arguments it is given."""
    for site in program.sites:
        node = site.node
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("parse_args", "parse_known_args")
            and site.module is program.entry
            and site.sure
        ):
            why = options.refusal(program.evaluator, node, site.scope, program.job.args)
            if why is not None:
                fields = {"reason": why, "file": os.path.basename(program.job.path)}
                where = program.where(site)
                return [Finding("arguments", "bad", "refused", {"reason": why}, fields, where)]
    return []


def check_variables(program: Program) -> list[Finding]:
    """Variables of the environment the script cannot do without and does not get."""
    found: dict[str, Finding] = {}
    for site in program.sites:
        if not isinstance(site.node, ast.Subscript) or site.in_try or program.sets_any:
            continue
        if not isinstance(site.node.ctx, ast.Load):
            continue
        if site.module is program.entry and not program.job.is_own(site.line):
            continue
        if program.evaluator.dotted(site.node.value, site.scope) != "os.environ":
            continue
        name = program.evaluator.value(site.node.slice, site.scope).one
        if (
            not isinstance(name, str)
            or name in program.job.env
            or name in program.evaluator.set_names
            or name.startswith("OVERNIGHT_")
            or (name in _LAUNCHER_VARIABLES and program.job.is_distributed)
        ):
            continue
        level: Level = "bad" if site.sure else "warn"
        fields = {"name": name}
        if name not in found or found[name].level == "warn":
            found[name] = Finding("environment", level, "missing", fields, fields,
                                  program.where(site))  # fmt: skip
    said = {item.fields.get("name") for item in program.job.found}
    return [finding for name, finding in found.items() if name not in said]
