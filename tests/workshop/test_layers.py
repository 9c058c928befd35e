"""Who may import whom, and what: held on the source itself and in a fresh interpreter.

import-linter holds the order of the rooms (`make layers`); here is what it cannot see: which files
keep to the standard library, and which keep to the grammar of the oldest Python a job may have.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "overnight"
# Text that a converted notebook begins with: it runs in the job and is never imported here.
PASTED = PACKAGE / "notebook" / "header"
SOURCES = sorted({*PACKAGE.rglob("*.py")} - {*PASTED.glob("[a-z]*.py")})


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, at any depth of nesting.

    From ``from a import b`` come both ``a`` and ``a.b``, which may be a module or a name in it.
    """
    for node in _run_time(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides its room"
            assert node.module
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but for what only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _run_time(child)


#: Loaded in a process of its own (a courier), or where the person's own Python has Overnight and
#: its libraries installed: nobody's job, and no live run, depends on them.
ELSEWHERE = {
    "overnight.agent.courier",
    "overnight.alerts.settings_file",
    "overnight.channels",
    "overnight.plugins",
    "overnight.yaml_tree",
}


def with_what_they_import(paths: Iterable[Path]) -> list[Path]:
    """These files of the package, and those they import, and those in turn."""
    reached: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path in reached or not path.is_file():
            continue
        reached.add(path)
        for _, name in imports_of(path):
            elsewhere = any((name + ".").startswith(each + ".") for each in ELSEWHERE)
            if name.partition(".")[0] == "overnight" and not elsewhere:
                base = PACKAGE.joinpath(*name.split(".")[1:])
                waiting += [base.with_suffix(".py"), base / "__init__.py"]
    return sorted(reached)


# Runs inside the person's job, whatever Python that has (3.9 or newer).
_JOB_ROOMS = ("ledger", "outbox", "watching")
JOB_SIDE = with_what_they_import(
    [
        PACKAGE / "__init__.py",
        PACKAGE / "redact.py",
        PACKAGE / "alerts" / "names.py",
        *(path for room in _JOB_ROOMS for path in PACKAGE.glob(room + "/*.py")),
    ]
)
#: They import the framework or the tracker they are for: that is their whole work. The trainer, a
#: search and a tracker's copier are processes of their own; `testing/` tries them.
_FRAMEWORK_ROOMS = {
    "calibration.py", "integrations", "prediction", "tasks", "trainer", "trackers", "tracking",
    "testing", "tuning",
}  # fmt: skip
NO_FRAMEWORKS = [
    path for path in SOURCES if path.relative_to(PACKAGE).parts[0] not in _FRAMEWORK_ROOMS
]
#: Of those rooms what a verb or the agent may import at any time.
LIGHT = sorted(
    {
        *(
            PACKAGE / "tasks" / f"{name}.py"
            for name in ("__init__", "base", "config", "folds", "predictor")
        ),
        *(
            PACKAGE / "tuning" / f"{name}.py"
            for name in ("__init__", "config", "distributions", "space", "sweep")
        ),
        *(PACKAGE / "prediction" / f"{name}.py" for name in ("__init__", "asked", "form")),
        *PACKAGE.glob("tasks/*/__init__.py"),
        *PACKAGE.glob("tasks/*/inputs.py"),
        *PACKAGE.glob("tasks/*/config.py"),
        *PACKAGE.glob("tasks/*/data.py"),
        PACKAGE / "trackers" / "__init__.py",
        PACKAGE / "trackers" / "base.py",
        *PACKAGE.glob("tracking/*.py"),
    }
)
# What a live run imports: an upgrade of a library under it must change nothing. And the converter,
# because a crash in a notebook is traced back to its cell by the supervisor.
STANDARD_LIBRARY_ONLY = with_what_they_import(
    [
        *JOB_SIDE,
        PACKAGE / "errors.py",
        *PACKAGE.glob("messages/*.py"),
        *PACKAGE.glob("supervisor/**/*.py"),
        PACKAGE / "agent" / "loop.py",
        *(path for path in SOURCES if PACKAGE / "notebook" in path.parents),
    ]
)
# Off Linux there is no /proc to read processes from.
OFF_LINUX_ONLY = {"psutil"}
# What makes a verb slow or heavy, and what a trainer brings itself.
HEAVY = {"torch", "mlflow", "wandb", "numpy", "pandas", "matplotlib", "transformers", "sklearn"}
SCREEN = {"rich", "typer", "click", "pydantic"}


def ids(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", STANDARD_LIBRARY_ONLY, ids=ids)
def test_what_must_outlive_an_upgrade_imports_the_standard_library_only(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"overnight"} | OFF_LINUX_ONLY
    foreign = [
        f"line {line}: {name}"
        for line, name in imports_of(path)
        if name.partition(".")[0] not in allowed
    ]
    assert foreign == []


def test_only_the_cli_knows_the_screen_libraries() -> None:
    found = [
        f"{ids(path)}:{line} imports {name}"
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0] != "cli"
        for line, name in imports_of(path)
        if name.partition(".")[0] in {"typer", "rich", "click"}
    ]
    assert found == []


def test_the_package_never_imports_a_framework_or_a_tracker() -> None:
    found = [
        f"{ids(path)}:{line} imports {name}"
        for path in NO_FRAMEWORKS
        for line, name in imports_of(path)
        if name.partition(".")[0] in HEAVY
    ]
    assert found == []


@pytest.mark.parametrize("path", JOB_SIDE, ids=ids)
def test_the_job_side_keeps_to_the_grammar_of_python_3_9(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    statements = [node for node in tree.body if not isinstance(node, ast.Expr)]
    if statements:
        assert isinstance(statements[0], ast.ImportFrom)
        assert statements[0].module == "__future__"
    keywords = {
        (keyword.arg, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
    }
    newer = [(name, line) for name, line in keywords if name in {"slots", "kw_only", "match_args"}]
    assert newer == [], "dataclass options that Python 3.9 does not have"


def find_old_python() -> str | None:
    """A Python 3.9 or 3.10 on this machine, by name or among a version manager's."""
    candidates = [shutil.which("python3.9"), shutil.which("python3.10")]
    candidates += [str(path) for path in Path.home().glob(".pyenv/versions/3.[91]*/bin/python3")]
    candidates += [str(path) for path in Path.home().glob(".local/share/uv/python/*/bin/python3")]
    probe = "import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 11))"
    for candidate in candidates:
        if candidate and subprocess.run([candidate, "-c", probe], check=False).returncode == 0:
            return candidate
    return None


OLD_PYTHON = find_old_python()


@pytest.mark.skipif(OLD_PYTHON is None, reason="no Python 3.9 or 3.10 on this machine")
def test_a_job_of_an_older_python_can_import_its_side() -> None:
    assert OLD_PYTHON is not None
    modules = [
        ".".join(("overnight", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in JOB_SIDE
        if path.name != "__init__.py"
    ]
    lines = [
        "import overnight, importlib",
        f"for name in {modules!r}: importlib.import_module(name)",
    ]
    subprocess.run(
        [OLD_PYTHON, "-W", "error", "-c", "\n".join(lines)],
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def modules_after(code: str, tmp_path: Path) -> set[str]:
    """Top-level names in ``sys.modules`` once a fresh interpreter has run ``code``."""
    listing = tmp_path / "modules.json"
    program = (
        "import sys, json, pathlib\n"
        "try:\n" + "".join(f"    {line}\n" for line in code.splitlines()) + "finally:\n"
        f"    pathlib.Path({str(listing)!r}).write_text(json.dumps(sorted(sys.modules)))\n"
    )
    env = os.environ | {
        "PYTHONPATH": str(PACKAGE.parent),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "OVERNIGHT_ROOT": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name.partition(".")[0] for name in json.loads(listing.read_text())}


def test_importing_the_package_brings_nothing_else(tmp_path: Path) -> None:
    loaded = modules_after("import overnight", tmp_path)
    foreign = loaded - sys.stdlib_module_names - {"overnight", "__main__"}
    # What a .pth file of the environment loads at start is there without us, too.
    foreign -= modules_after("pass", tmp_path)
    assert foreign == set()


def test_no_room_below_the_cli_loads_a_screen_library_or_a_framework(tmp_path: Path) -> None:
    names = [
        ".".join(("overnight", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        )
        for path in NO_FRAMEWORKS
        if path.relative_to(PACKAGE).parts[0] not in {"cli", "testing"}
        and path.name != "__main__.py"
    ]
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    # A config's schema is pydantic's; which verbs pay for it is held below.
    assert not modules_after(code, tmp_path) & (HEAVY | SCREEN - {"pydantic"})


def test_what_a_verb_may_import_of_tasks_and_trackers_loads_no_framework(tmp_path: Path) -> None:
    names = [
        ".".join(("overnight", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        )
        for path in LIGHT
    ]
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    assert not modules_after(code, tmp_path) & (HEAVY | SCREEN - {"pydantic"})


@pytest.mark.parametrize(
    "argv",
    [["ls", "--json"], ["doctor", "--json"], ["run", "job.py", "--name", "light"], ["--help"]],
    ids=" ".join,
)
def test_a_verb_leaves_frameworks_and_trackers_alone(argv: list[str], tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("print('done')\n", encoding="utf-8")
    code = (
        "from overnight.cli import main\n"
        # 1 is doctor's answer on a machine that has a fault.
        f"assert main({argv!r}) in (0, 1)"
    )
    unwanted = HEAVY | {"pydantic"} | ({"rich"} if argv[0] == "run" else set())
    assert not modules_after(code, tmp_path) & unwanted
