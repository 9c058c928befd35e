"""Install lines: which requirements they name, and whether the job's Python meets them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from overnight.notebook.conversion import Finding, Import, Install
from overnight.notebook.shell import words

Tool = Literal["pip", "conda", "system"]

#: Options of pip, uv and conda that take a value.
_VALUED = frozenset({
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target", "--prefix",
    "--root", "-c", "--constraint", "--channel", "-n", "--name", "-p", "--python", "--proxy",
    "--timeout", "--retries", "--trusted-host", "--cache-dir", "--log", "--src", "--platform",
    "--progress-bar", "--upgrade-strategy", "--no-binary", "--only-binary", "--torch-backend",
    "--python-version", "--config-settings", "--global-option", "--use-feature",
})  # fmt: skip
_PREFIXES = frozenset({"sudo", "time", "yes", "env", "command", "exec", "-H", "-E"})
#: Distributions that bring the same modules: any of a group will do.
_ALIKE = (
    {"opencv-python", "opencv-python-headless", "opencv-contrib-python",
     "opencv-contrib-python-headless"},
    {"tensorflow", "tensorflow-cpu", "tensorflow-gpu"},
    {"onnxruntime", "onnxruntime-gpu"},
    {"faiss-cpu", "faiss-gpu", "faiss"},
    {"psycopg2", "psycopg2-binary"},
    {"sklearn", "scikit-learn"},
    {"pil", "pillow"},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InstallLine:
    """What an install command asks for; ``requirements`` is empty for ``apt-get update``."""

    tool: Tool
    requirements: tuple[str, ...]
    files: tuple[str, ...] = ()


def install_line(part: str) -> InstallLine | None:
    """One command as an install line, or None where it is something else.

    Only commands that change what is installed count: ``pip list`` is run as any other.
    """
    found = words(part)
    while found and (found[0] in _PREFIXES or re.fullmatch(r"[A-Z_]+=\S*", found[0])):
        found = found[1:]
    if not found:
        return None
    program = found[0].rsplit("/", 1)[-1]
    rest = found[1:]
    if program in ("python", "python3", "{sys.executable}", "$sys.executable") or re.fullmatch(
        r"python3\.\d+", program
    ):
        if rest[:2] != ["-m", "pip"]:
            return None
        program, rest = "pip", rest[2:]
    if program == "uv" and rest[:1] == ["pip"]:
        program, rest = "pip", rest[1:]
    elif program == "uv" and rest[:1] == ["add"]:
        return _python_line("pip", rest[1:])
    if program in ("pip", "pip3") or re.fullmatch(r"pip3\.\d+", program):
        verb, rest = _verb(rest)
        if verb == "install":
            return _python_line("pip", rest)
        return InstallLine("pip", ()) if verb == "uninstall" else None
    if program in ("conda", "mamba", "micromamba"):
        verb, rest = _verb(rest)
        if verb in ("install", "create", "update", "remove", "uninstall"):
            return _python_line("conda", rest) if verb in ("install",) else InstallLine("conda", ())
        return None
    if program in ("apt", "apt-get", "aptitude", "yum", "dnf", "brew", "apk"):
        verb, rest = _verb(rest)
        if verb in ("install", "add", "update", "upgrade", "remove", "build-dep", "autoremove"):
            named = tuple(word for word in rest if not word.startswith("-") and ">" not in word)
            return InstallLine("system", named if verb in ("install", "add") else ())
    return None


def _verb(rest: Sequence[str]) -> tuple[str, list[str]]:
    at = 0
    while at < len(rest) and rest[at].startswith("-"):
        at += 2 if rest[at] in _VALUED else 1
    return (rest[at], list(rest[at + 1 :])) if at < len(rest) else ("", [])


def _python_line(tool: Tool, rest: Sequence[str]) -> InstallLine:
    requirements: list[str] = []
    files: list[str] = []
    at = 0
    while at < len(rest):
        word = rest[at]
        at += 1
        if word in ("|", "&", "<") or re.fullmatch(r"(?:[12&])?>{1,2}(?:&[12])?", word):
            break  # what follows is where the output goes
        if re.match(r"(?:[12&])?>{1,2}", word):
            continue
        if word in ("-r", "--requirement") and at < len(rest):
            files.append(rest[at])
            at += 1
        elif word in ("-e", "--editable") and at < len(rest):
            requirements.append(rest[at])
            at += 1
        elif word in _VALUED:
            at += 1
        elif word.startswith("-r") and len(word) > 2 and not word.startswith("--"):
            files.append(word[2:])
        elif not word.startswith("-"):
            requirements.append(word)
    return InstallLine(tool, tuple(requirements), tuple(files))


def requirements_file(path: Path) -> list[str]:
    """The requirements of a requirements.txt; options and comments are left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return []
    lines = (re.sub(r"(?:^|\s)#.*$", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("-")]


# -- does the job's Python meet them? ---------------------------------------------------------

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(
    rf"^(?P<name>{_NAME})\s*(?:\[[^\]]*\])?\s*\(?(?P<spec>(?:[<>=!~]=?=?\s*[^,;()\s]+\s*,?\s*)*)\)?$"
)
_CLAUSE = re.compile(r"(?P<op>===|==|>=|<=|~=|!=|<|>|=)\s*(?P<version>[^,\s]+)")
_VERSION = re.compile(
    r"^v?(?:\d+!)?(?P<release>\d+(?:\.\d+)*)(?P<pre>[._-]?(?:a|b|c|rc|alpha|beta|pre|dev)[._-]?\d*)?"
    r"(?P<rest>[._-]?(?:post|rev|r)?[._-]?\d*)(?:\+[\w.]+)?$",
    re.IGNORECASE,
)
#: What the job's Python is asked: JSON in, JSON out, standard library only, any Python 3.8+.
_QUESTION = """
import importlib.util, json, sys
from importlib import metadata
asked = json.load(sys.stdin)
versions, modules = {}, {}
for name in asked["names"]:
    try:
        versions[name] = metadata.version(name)
    except Exception:
        versions[name] = None
for name in asked["modules"]:
    try:
        built_in = name in sys.builtin_module_names
        modules[name] = built_in or importlib.util.find_spec(name) is not None
    except Exception:
        modules[name] = True
print("\\n" + json.dumps({"versions": versions, "modules": modules}))
"""
#: A cold interpreter on a network home folder takes seconds; beyond this it hangs.
_ASK_TIMEOUT_S = 30.0


def check_installs(
    installs: Iterable[Install],
    python: str,
    *,
    imports: Iterable[Import] = (),
    folder: Path | None = None,
) -> list[Finding]:
    """What of the notebook's installs and imports is missing in the job's own Python.

    A requirement that is not understood (an address, a local folder, a marker) is a note. A
    version that differs warns. A missing distribution blocks, unless its line is conditional or
    everything the notebook imports is there all the same.

    Args:
        installs: Requirements of the install lines.
        python: The job's interpreter; it is asked in a process of its own.
        imports: Modules of the notebook; one that is missing blocks unless conditional.
        folder: Where the job will run: modules lying there count.
    """
    installs, imports = list(installs), list(imports)
    parsed = [(install, _REQUIREMENT.match(install.requirement.strip())) for install in installs]
    names = sorted(
        {other for install, match in parsed if match and install.tool != "system"
         for other in _alike(match["name"])}
    )  # fmt: skip
    answer = _ask(python, names, sorted({item.module for item in imports}), folder)
    if answer is None:
        return [Finding("warns", 0, 0, "notebook.python_silent", {"python": python})]
    versions, modules = answer
    absent = [item for item in imports if not modules.get(item.module, True)]
    findings: list[Finding] = []
    seen: set[str] = set()
    for install, match in parsed:
        if install.requirement in seen:
            continue
        seen.add(install.requirement)
        if install.tool == "system":
            findings.append(_install_finding("notes", "notebook.install_system", install, python))
        elif match is None:
            findings.append(_install_finding("notes", "notebook.install_unknown", install, python))
        else:
            have = next((v for n in _alike(match["name"]) if (v := versions.get(n))), None)
            is_met = None if have is None else meets(have, match["spec"])
            if have is None:
                needed = not install.conditional and (bool(absent) or not imports)
                level: Literal["blocks", "warns"] = "blocks" if needed else "warns"
                findings.append(
                    _install_finding(level, "notebook.install_missing", install, python)
                )
            elif is_met is None:
                findings.append(
                    _install_finding("notes", "notebook.install_unknown", install, python)
                )
            elif not is_met:
                findings.append(
                    _install_finding("warns", "notebook.install_differs", install, python, have)
                )
    told: set[str] = set()
    for item in sorted(absent, key=lambda item: item.conditional):
        if item.module not in told:
            told.add(item.module)
            findings.append(
                Finding(
                    "warns" if item.conditional else "blocks", item.cell, item.line,
                    "notebook.import_missing", {"module": item.module, "python": python},
                )
            )  # fmt: skip
    return sorted(findings, key=lambda finding: (finding.cell, finding.line))


def _install_finding(
    level: Literal["blocks", "warns", "notes"],
    key: str,
    install: Install,
    python: str,
    have: str = "",
) -> Finding:
    fields = {"requirement": install.requirement, "python": python}
    if have:
        fields["version"] = have
    return Finding(level, install.cell, install.line, key, fields)


def _ask(
    python: str, names: list[str], modules: list[str], folder: Path | None
) -> tuple[dict[str, str | None], dict[str, bool]] | None:
    try:
        done = subprocess.run(
            [python, "-c", _QUESTION],
            input=json.dumps({"names": names, "modules": modules}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_ASK_TIMEOUT_S,
            cwd=folder,
            check=True,
        )
        answer = json.loads(done.stdout.strip().rpartition("\n")[2])
        return answer["versions"], answer["modules"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


def normalized(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _alike(name: str) -> list[str]:
    plain = normalized(name)
    group = next((group for group in _ALIKE if plain in group), set())
    return [plain, *sorted(group - {plain})]


def meets(version: str, spec: str) -> bool | None:
    """Whether ``version`` is in ``spec`` (``>=1.0,<2``); None where that is not understood."""
    have = _comparable(version)
    if have is None:
        return None
    result = True
    covered = 0
    for clause in _CLAUSE.finditer(spec):
        covered += 1
        op, wanted = clause["op"], clause["version"]
        if wanted.endswith(".*") and op in ("==", "!=", "="):
            prefix = _comparable(wanted[:-2])
            if prefix is None:
                return None
            is_same = _padded(have, len(prefix[0]))[: len(prefix[0])] == prefix[0]
            result &= is_same if op != "!=" else not is_same
            continue
        bound = _comparable(wanted)
        if bound is None:
            return None
        width = max(len(have[0]), len(bound[0]))
        left = (_padded(have, width), *have[1:])
        right = (_padded(bound, width), *bound[1:])
        if op in ("==", "===", "="):
            result &= left == right
        elif op == "!=":
            result &= left != right
        elif op == ">=":
            result &= left >= right
        elif op == "<=":
            result &= left <= right
        elif op == ">":  # not a post-release of the version itself
            result &= left > right and (left[:2] != right[:2] or right[2] > 0)
        elif op == "<":  # not a pre-release of the version itself
            result &= left < right and (left[0] != right[0] or right[1][0] != _FINAL)
        elif len(bound[0]) < 2:
            return None  # ~=1 is not a valid clause
        else:
            head = bound[0][:-1]
            result &= left >= right and _padded(have, width)[: len(head)] == head
    return result if covered or not spec.strip() else None


#: Where a version without a pre-release stands among its pre-releases: behind all of them.
_FINAL = "9"


def _comparable(version: str) -> tuple[tuple[int, ...], tuple[str, int], int] | None:
    """A version that can be compared: release, then pre-release (none is greatest), then post."""
    if "!" in version or len(version) > 60:
        return None
    match = _VERSION.match(version)
    if match is None:
        return None
    release = tuple(int(part) for part in match["release"].split("."))
    pre = (match["pre"] or "").lower().strip("._-")
    stage = re.sub(r"[^a-z]", "", pre)
    rank = {"dev": "0", "a": "1", "alpha": "1", "b": "2", "beta": "2", "": _FINAL}.get(stage, "3")
    post = re.sub(r"\D", "", match["rest"] or "")
    count = re.sub(r"\D", "", pre)
    return release, (rank, int(count or 0)), int(post or 0)


def _padded(version: tuple[tuple[int, ...], tuple[str, int], int], width: int) -> tuple[int, ...]:
    return version[0] + (0,) * (width - len(version[0]))
