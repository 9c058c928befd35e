"""What the job's own Python has: it is asked in a child, and nothing of the script is run there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overnight.notebook import Install, check_installs
from overnight.notebook.installs import requirements_file
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.job import Job

#: Importing one package that makes its modules up while it is loaded can mean importing torch.
_TIMEOUT_S = 90.0
#: Runs in any Python 3.6 or newer. `PathFinder` looks into the folders of a package without
#: importing it; what it does not find there is imported, since packages like tensorflow make
#: modules up while they are loaded.
_QUESTION = r"""
import json, os, sys
asked = json.load(open(os.environ.pop("OVERNIGHT_ASKED")))
sys.path[:] = asked["first"] + [part for part in sys.path if part not in ("",)] + asked["last"]
import importlib, importlib.util, warnings
from importlib.machinery import PathFinder
warnings.simplefilter("ignore")
answer = {"version": list(sys.version_info[:3]), "syntax": None, "modules": {}, "beside": {}}
answer["standard"] = sorted(getattr(sys, "stdlib_module_names", sys.builtin_module_names))
try:
    with open(asked["source"], "rb") as file:
        compile(file.read(), asked["path"], "exec", 0, True)
except SyntaxError as error:
    answer["syntax"] = [error.lineno or 0, str(error.msg)]
except ValueError as error:
    answer["syntax"] = [0, str(error)]
def tell():
    sys.stdout.write("\n@@overnight-imports@@ " + json.dumps(answer) + "\n")
    sys.stdout.flush()
tell()
def find(name, path):
    if path is None and name in sys.builtin_module_names:
        return True, None
    if path is None:
        spec = importlib.util.find_spec(name)
    else:
        spec = PathFinder.find_spec(name, path)
    return spec is not None, spec
later = []
for dotted in asked["modules"]:
    parts = dotted.split(".")
    try:
        known, spec = find(parts[0], None)
        if not known:
            answer["modules"][dotted] = [parts[0], ""]
            continue
        answer["modules"][dotted] = True
        for at in range(1, len(parts)):
            places = getattr(spec, "submodule_search_locations", None)
            places = None if places is None else list(places)
            known, spec = find(".".join(parts[:at + 1]), places) if places else (False, None)
            if not known:
                later.append(dotted)
                break
    except Exception as error:
        answer["modules"][dotted] = True
for name in asked["shadows"]:
    try:
        rest = [part for part in sys.path if part not in asked["first"]]
        spec = PathFinder.find_spec(name, rest)
        answer["beside"][name] = spec.origin if spec is not None else None
    except Exception:
        answer["beside"][name] = None
tell()
for dotted in later:
    try:
        importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        own = dotted == missing or dotted.startswith(missing + ".")
        answer["modules"][dotted] = [missing, str(error)] if own and missing else True
    except BaseException:
        pass
tell()
"""
_MARK = "@@overnight-imports@@ "


@dataclass(frozen=True, slots=True)
class Answer:
    """What the job's Python said.

    Attributes:
        syntax: Line and text of a syntax error; None where it compiles.
        missing: Module → the part of it that is not there.
        elsewhere: Name → where a module of that name lies that the script's folder hides.
        standard: Its standard library.
    """

    version: tuple[int, ...]
    syntax: tuple[int, str] | None
    missing: dict[str, str]
    elsewhere: dict[str, str]
    standard: frozenset[str]


def ask_python(job: Job, modules: Sequence[str], shadows: Sequence[str], roots: Sequence[str],
               folder: str) -> Answer | None:  # fmt: skip
    """Asks the job's Python; None where it does not answer.

    Args:
        job: The job.
        modules: Dotted names.
        shadows: Top-level names that lie in the script's folder too.
        roots: Folders the script looks for its modules in.
        folder: An empty folder for the question.
    """
    source = os.path.join(folder, "source.py")
    Path(source).write_bytes(job.source)
    question = os.path.join(folder, "question.json")
    asked = {
        "source": source, "path": job.path, "modules": list(modules), "shadows": list(shadows),
        "first": [roots[0]], "last": list(roots[1:]),
    }  # fmt: skip
    Path(question).write_text(json.dumps(asked), encoding="utf-8")
    env = {**job.env, "OVERNIGHT_ASKED": question, "PYTHONDONTWRITEBYTECODE": "1"}
    env = {name: value for name, value in env.items() if "\0" not in value}
    try:
        done = subprocess.run(
            [job.python, "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            cwd=job.cwd,
            env=env,
            check=False,
        )
        said = done.stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    except (OSError, ValueError):
        return None
    return read_answer(said.decode("utf-8", "replace"))


def read_answer(said: str) -> Answer | None:
    """The last whole line of the child's answer; None where there is none."""
    for line in reversed(said.splitlines()):
        if not line.startswith(_MARK):
            continue
        try:
            told = json.loads(line.removeprefix(_MARK))
            syntax = told["syntax"]
            return Answer(
                version=tuple(int(part) for part in told["version"]),
                syntax=(int(syntax[0]), str(syntax[1])) if syntax else None,
                missing={
                    str(name): str(value[0])
                    for name, value in told["modules"].items()
                    if value is not True
                },
                elsewhere={str(k): str(v) for k, v in told["beside"].items() if v},
                standard=frozenset(map(str, told["standard"])),
            )
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            continue
    return None


def check_requirements(job: Job) -> list[Finding]:
    """What ``requirements.txt`` beside the script asks for and the job's Python does not have."""
    path = os.path.join(job.folder, "requirements.txt")
    lines = _numbered(path)
    if not lines:
        return []
    installs = [Install(text, 0, number, conditional=True) for text, number in lines]
    found = check_installs(installs, job.python, folder=Path(job.folder))
    findings: list[Finding] = []
    missing: list[tuple[int, str]] = []
    for item in found:
        where = f"requirements.txt:{item.line}"
        fields = dict(item.fields)
        if item.key == "notebook.install_missing":
            missing.append((item.line, fields["requirement"]))
        elif item.key == "notebook.install_differs":
            code = "differs"
            findings.append(Finding("installs", "warn", code, {**fields}, {**fields}, where))
    if missing:
        names = [name for _, name in missing]
        fields = {
            "requirements": ", ".join(names),
            "command": f"{job.python} -m pip install -r {os.path.relpath(path, job.cwd)}",
        }
        where = f"requirements.txt:{missing[0][0]}"
        findings.append(
            Finding("installs", "warn", "missing", {"requirements": [*names]}, fields, where)
        )
    if not findings:
        facts_num = {"num": len(installs)}
        findings = [Finding("installs", "ok", "met", {**facts_num}, {**facts_num})]
    return findings


def _numbered(path: str) -> list[tuple[str, int]]:
    """Requirements with their lines; markers for other systems are left to pip."""
    wanted = set(requirements_file(Path(path)))
    found = []
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return []
    for number, line in enumerate(text.splitlines(), 1):
        plain = re.sub(r"(?:^|\s)#.*$", "", line).strip()
        if plain in wanted and ";" not in plain:
            found.append((plain, number))
    return found
