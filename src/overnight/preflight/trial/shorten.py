"""How a job is shortened: by leaving out turns of loops that are seen, else by its own numbers.

Loops in the job's own code and in the libraries it trains with are shortened from inside (see
``inside``), whatever the number of epochs is called. Only where no such loop can be seen is that
number lowered, twice: an epoch is what the second trial takes longer than the first.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from overnight.preflight.trial.inside.source import loops_of

_EPOCHS = re.compile(
    r"(?:[A-Za-z]\w*[._])?(?:(?:num|max|n|total|train|num_train|nb)_?)?epochs?(?:_num)?",
    re.IGNORECASE,
)
#: Modules of a job's own that are looked through for loops.
_MOST_MODULES = 50
_NUMBER = re.compile(r"\d{1,7}(?:\.0{1,3})?", re.ASCII)
#: Where one of these is imported, its own loops are shortened.
_LIBRARIES = frozenset(["transformers", "keras", "tensorflow", "lightning", "pytorch_lightning"])
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?(?:\.exe)?")
_PATIENCE = re.compile(r"(?i)patience|early_?stop|조기\s?종료")
_SAVES = re.compile(
    r"\.save\w*\(|\bdump\w*\(|\.to_(?:csv|parquet|json|pickle|feather|excel)\(|savez?\w*\("
    r"|write_text\(|write_bytes\(|imwrite\(|\bopen\([^)]*[\"'][wax]b?\+?[\"']|ModelCheckpoint"
    r"|output_dir|log_model|save_"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a trial is made.

    Attributes:
        script: The Python file whose loops are watched; empty where none is known.
        script_at: Where it stands in argv.
        source: Its text.
        sources: Name → text of it, of the modules beside it that it imports, or of the scripts
            that a command names.
        epochs: The full run's number of epochs, where it has to be lowered; None elsewhere.
        flag_at: Where that number stands in argv; None: in the script.
        flag: The option or variable that holds it.
    """

    script: str = ""
    script_at: int | None = None
    source: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    flag_at: int | None = None
    flag: str = ""

    @property
    def may_stop_early(self) -> bool:
        """Whether the script speaks of early stopping."""
        return _PATIENCE.search(self.source) is not None

    @property
    def saves(self) -> bool:
        """Whether the job holds a call that usually writes a result."""
        return any(_SAVES.search(each) for each in self.sources.values())

    def argv_with(self, argv: Sequence[str], epochs: int) -> list[str]:
        """``argv`` with another number of epochs."""
        changed = list(argv)
        if self.flag_at is not None:
            head, equals, _ = argv[self.flag_at].rpartition("=")
            changed[self.flag_at] = head + equals + str(epochs)
        elif self.flag.startswith("-"):
            changed += [self.flag, str(epochs)]
        return changed


def plan(argv: Sequence[str], source: str = "", cwd: str = ".") -> Plan:
    """How the job ``argv`` is shortened.

    Args:
        argv: How it is called; its first word is a program.
        source: The text of the script ``argv[1]``, where that is no file yet.
        cwd: Where the job runs.
    """
    at = 1 if source else script_at(argv)
    script = "" if at is None or source else argv[at]
    if script:
        source = _text(Path(cwd, script))
    tree = _tree(source)
    sources = {Path(script).name or "": source} if source else {}
    trees = [tree] if tree is not None else []
    if tree is not None:
        folder = Path(cwd, script).parent if script else Path(cwd)
        for path, text, module in _local_modules(tree, folder):
            sources[path.name] = text
            trees.append(module)
    elif not source:
        files = [Path(cwd, word) for word in argv if word.endswith((".py", ".sh"))]
        sources = {path.name: _text(path) for path in files}
    made = Plan(script, at, source, sources)
    if any(loops_of(each) or _LIBRARIES & _imports(each) for each in trees):
        return made
    found = _in_argv(argv, 0 if at is None else at)
    if found is not None:
        number, where, flag = found
        return replace(made, epochs=number, flag_at=where, flag=flag)
    if tree is not None:
        for number, flag in (*_declared(tree), *_constants(tree)):
            return replace(made, epochs=number, flag=flag)
    return made


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def script_at(argv: Sequence[str]) -> int | None:
    """Where in ``python -u train.py …`` the script stands; None for anything else."""
    if not argv or not _PYTHON.fullmatch(Path(argv[0]).name):
        return None
    for at, word in enumerate(argv[1:], 1):
        if word in ("-W", "-X"):
            return None  # an option with a value: the shell's words are not taken apart further
        if not word.startswith("-"):
            return at if word.endswith(".py") else None
        if word in ("-m", "-c", "-"):
            return None
    return None


def _in_argv(argv: Sequence[str], after: int) -> tuple[int, int, str] | None:
    """Number, place and option of the epochs on a command line."""
    for at in range(after + 1, len(argv)):
        name, equals, value = argv[at].lstrip("-").replace("-", "_").partition("=")
        if not _EPOCHS.fullmatch(name):
            continue
        if equals and _NUMBER.fullmatch(value):
            return int(float(value)), at, argv[at].partition("=")[0]
        if argv[at].startswith("-") and at + 1 < len(argv) and _NUMBER.fullmatch(argv[at + 1]):
            return int(float(argv[at + 1])), at + 1, argv[at]
    return None


def _declared(tree: ast.Module) -> list[tuple[int, str]]:
    """Options of argparse, click or typer with a default: ``("--epochs", …, default=20)``."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _last(node.func) not in ("add_argument", "option"):
            continue
        options = [
            part.value
            for part in node.args
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        default = next(
            (_whole(each.value) for each in node.keywords if each.arg == "default"), None
        )
        for option in options:
            name = option.lstrip("-").replace("-", "_")
            if option.startswith("--") and _EPOCHS.fullmatch(name) and default:
                found.append((default, option))
    return found


def _constants(tree: ast.Module) -> list[tuple[int, str]]:
    """``EPOCHS = 20`` at the top or in a class there, ``train(epochs=20)`` anywhere."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [_last(target) for target in targets]
            value: ast.expr | None = node.value
        elif isinstance(node, ast.keyword) and node.arg:
            names, value = [node.arg], node.value
        else:
            continue
        number = _whole(value)
        found += [(number, name) for name in names if number and _EPOCHS.fullmatch(name)]
    return found


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _whole(node: ast.expr | None) -> int | None:
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _local_modules(tree: ast.Module, folder: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    """The modules beside a script that it imports, and those they import."""
    todo = [(tree, folder)]
    seen: set[Path] = set()
    while todo:
        importer, beside = todo.pop()
        for name in imported(importer):
            for base in dict.fromkeys((folder, folder / "src", beside)):
                place = base.joinpath(*name.split("."))
                for path in (place.with_suffix(".py"), place / "__init__.py"):
                    if path in seen or len(seen) >= _MOST_MODULES or not path.is_file():
                        continue
                    seen.add(path)
                    text = _text(path)
                    found = _tree(text)
                    if found is not None:
                        todo.append((found, path.parent))
                        yield path, text, found


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules a module imports, and what it takes from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            yield from ([start] if start else [])
            yield from (f"{start}.{each.name}".lstrip(".") for each in node.names)


def _tree(source: str) -> ast.Module | None:
    try:
        return ast.parse(source) if source.strip() else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
