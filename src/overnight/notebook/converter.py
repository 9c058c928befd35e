"""The notebook as a script: one pass over its cells, each reader adding what it knows."""

from __future__ import annotations
import __future__

import ast
import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from overnight.errors import NotebookError
from overnight.notebook import names, parameters
from overnight.notebook.calls import Calls
from overnight.notebook.conversion import Conversion, Finding, Import, Level
from overnight.notebook.edit import Edits, parse_python
from overnight.notebook.literals import Literals
from overnight.notebook.magics import Gathered, plain_python, to_python
from overnight.notebook.places import walk
from overnight.notebook.reader import Cell, Notebook, read
from overnight.notebook.script import assemble, body
from overnight.redact import redact

#: Something in the notebook may draw: open figures are looked for at the end of its cells.
_DRAWS = re.compile(r"matplotlib|pylab|seaborn|fastai|plotly|\.plot\b|\.hist\(|\bplot_\w+\(")
_QUIET_METHODS = frozenset({"show", "system", "magic", "run_line_magic", "run_cell_magic"})
_RUN = re.compile(r"^[ \t]*%run[ \t]+(?:-\w+[ \t]+)*([^\s\0]+)", re.MULTILINE)
_QUIET_CALLS = frozenset({"print", "display", "exit", "quit"})
#: `%run a.ipynb` in a notebook run by another, and so on: deeper is a loop.
_MAX_INCLUDED = 8


def convert(
    notebook: Path,
    *,
    overrides: Mapping[str, str] | None = None,
    paths: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Conversion:
    """A notebook as a script that runs alone, and what a person should know of it.

    Nothing of the notebook is run. What must not start shows as findings that block; the script
    is made all the same.

    Args:
        notebook: The ``.ipynb`` file.
        overrides: Parameter → value as typed; dots reach into classes, dicts and calls.
        paths: Folder of the notebook's platform → where it lies here.
        env: The job's environment: logins are looked up in it, its secrets kept out of the
            script. This process's own by default.

    Raises:
        NotebookError: The file is no Python notebook, or an override cannot be applied.
    """
    path = Path(notebook)
    converter = _Converter(path, os.environ if env is None else env, paths or {}, ())
    try:
        return converter.run(overrides or {})
    except RecursionError as error:
        raise NotebookError("notebook.too_deep", where=path) from error


class _Converter:
    """One notebook on its way."""

    def __init__(
        self, path: Path, env: Mapping[str, str], paths: Mapping[str, str], stack: tuple[str, ...]
    ) -> None:
        self._path = path
        self._env = env
        self._paths = paths
        self._stack = (*stack, str(path.absolute()))
        self._bodies: dict[str, str] = {}
        self._included: dict[str, list[ast.Module]] = {}
        self._futures: list[str] = []
        self._trees: list[ast.Module] = []
        self._shows_all = False
        self._gathered = Gathered(frozenset(), path.parent, self._include)

    def run(self, overrides: Mapping[str, str]) -> Conversion:
        """Convert it."""
        notebook = read(self._path)
        parts, gathered, literals, diff = self._cells(notebook, overrides)
        source = assemble(self._path.name, parts, self._futures, self._bodies)
        self._compile_whole(source)
        code = [cell for cell in notebook.cells if cell.kind == "code"]
        findings = [
            *gathered.findings,
            *self._undefined([cell.number for cell in code]),
            *_order(code),
        ]
        findings += [
            Finding("warns", 0, 0, "notebook.map_unused", {"folder": folder})
            for folder in literals.unused()
        ]
        if not code:
            findings.append(Finding("blocks", 0, 0, "notebook.no_code"))
        return Conversion(
            source=source,
            findings=tuple(_sorted(self._quotable(finding) for finding in findings)),
            installs=tuple(
                replace(item, requirement=redact(item.requirement, self._env))
                for item in gathered.installs
            ),
            overrides_diff=diff,
            kernel=notebook.kernel,
            imports=tuple(self._imports(code, gathered)),
            inputs=tuple(literals.inputs),
            mapped=literals.mapped,
            num_cells=len(code),
        )

    def _quotable(self, finding: Finding) -> Finding:
        """A finding without secrets in what it quotes of the notebook."""
        fields = {name: redact(value, self._env) for name, value in finding.fields.items()}
        return replace(finding, fields=fields)

    def _cells(
        self, notebook: Notebook, overrides: Mapping[str, str]
    ) -> tuple[list[tuple[int, str]], Gathered, Literals, str]:
        code = [cell for cell in notebook.cells if cell.kind == "code"]
        assigned = _assigned(code, self._path.parent, len(self._stack))
        gathered = Gathered(assigned, self._path.parent, self._include)
        self._gathered = gathered
        literals = Literals(gathered, self._env, self._paths)
        calls = Calls(gathered, self._env)
        was_run = any(cell.count is not None for cell in code)
        first: list[tuple[int, str]] = []
        for cell in code:
            literals.look_for_secrets(cell.source, cell.number)
            first.append((cell.number, _python(cell, gathered, was_run=was_run)))
        trees = [_tree(source) for _, source in first]
        sources, diff = [source for _, source in first], ""
        if overrides:
            sources, diff = parameters.rewrite(first, trees, overrides, self._env, str(self._path))
            trees = [_tree(source) for source in sources]
        self._trees = trees
        draws = any(_DRAWS.search(cell.source) for cell in code)
        done: dict[int, str] = {}
        for cell, source, tree in zip(code, sources, trees, strict=True):
            edits = Edits(source, tree)
            self._statements(tree, edits)
            calls.read(tree, edits, cell.number)
            literals.read(tree, edits, cell.number)
            self._show(tree, edits, source)
            text = edits.apply() if edits else source
            if edits and not _compiles(text):
                text = source  # an edit we cannot make is not made
            text = literals.cleaned(text)
            if draws and _calls_something(tree):
                text = text.rstrip() + "\n_nb_figures()"
            done[cell.number] = text
        parts = [
            (cell.number, done[cell.number]) if cell.number else
            (0, literals.clean_comment(cell.source))
            for cell in notebook.cells
            if cell.number or cell.source.strip()
        ]  # fmt: skip
        return parts, gathered, literals, diff

    def _undefined(self, numbers: list[int]) -> list[Finding]:
        return names.check(list(zip(numbers, self._trees, strict=True)), self._included)

    def _include(self, name: str, cell: int, line: int) -> bool:
        """Convert a notebook that ``%run`` names, to stand in the same script."""
        if "\0" in name:
            return False
        path = self._path.parent / name
        if str(path.absolute()) in self._stack or len(self._stack) > _MAX_INCLUDED:
            return False
        other = _Converter(path, self._env, self._paths, self._stack)
        try:
            parts, gathered, _, _ = other._cells(read(path), {})
        except NotebookError:
            return False
        self._bodies.update(other._bodies)
        self._bodies[name] = body(parts)
        self._included.update(other._included)
        self._included[name] = other._trees
        self._futures += other._futures
        ours = self._gathered
        ours.findings += [replace(finding, cell=cell, line=line) for finding in gathered.findings]
        ours.installs += [replace(install, cell=cell, line=line) for install in gathered.installs]
        return True

    # -- statements ---------------------------------------------------------------------------

    def _statements(self, tree: ast.Module, edits: Edits) -> None:
        """What a script's top level does not allow: late ``__future__``, ``global``, ``await``."""
        for node in _top_level(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                known = set(__future__.all_feature_names)
                self._futures += [alias.name for alias in node.names if alias.name in known]
                edits.replace(node, "pass")
            elif isinstance(node, ast.Global):
                edits.replace(node, "pass")
            elif isinstance(node, ast.Await):
                start, _ = edits.span(node)
                edits.replace_span(start, start + len("await"), "_nb_await(")
                edits.wrap(node, "", ")")

    def _show(self, tree: ast.Module, edits: Edits, source: str) -> None:
        """Show the last expression of a cell, as the notebook does."""
        statements = tree.body if self._shows_all else tree.body[-1:]
        for node in statements:
            if isinstance(node, ast.Expr) and not _is_quiet(node.value):
                rest = source.encode("utf-8")[edits.span(node)[1] :].lstrip(b" \t")
                if self._shows_all or not rest.startswith(b";"):
                    is_bare = isinstance(node.value, ast.Tuple)  # a, b may stand without brackets
                    head, tail = ("_nb_show((", "))") if is_bare else ("_nb_show(", ")")
                    edits.wrap(node.value, head, tail)
        if any(
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Attribute)
            and node.targets[0].attr == "ast_node_interactivity"
            and isinstance(node.value, ast.Constant)
            for node in tree.body
        ):
            self._shows_all = '"all"' in source or "'all'" in source

    # -- the whole ----------------------------------------------------------------------------

    def _compile_whole(self, source: str) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(source, "script", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 0
            raise NotebookError("notebook.no_script", where=self._path, line=line) from error

    def _imports(self, code: list[Cell], gathered: Gathered) -> Iterator[Import]:
        changes_path = False
        standard = sys.stdlib_module_names
        seen: set[tuple[str, bool]] = set()
        for cell, tree in zip(code, self._trees, strict=True):
            changes_path = changes_path or "sys.path" in cell.source
            for node, place in walk(tree):
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules = [node.module]
                else:
                    continue
                for module in modules:
                    top = module.partition(".")[0]
                    made = changes_path or gathered.may_be_made(cell.number, node.lineno)
                    conditional = place.conditional or made
                    is_ours = module.startswith(("google.colab", "IPython")) or top in (
                        "kaggle_secrets", "google", "IPython",
                    )  # fmt: skip
                    if top in standard or is_ours or (top, conditional) in seen:
                        continue
                    seen.add((top, conditional))
                    yield Import(top, cell.number, node.lineno, conditional)


def _assigned(code: list[Cell], folder: Path, depth: int) -> frozenset[str]:
    """Every name the notebook or what it runs binds somewhere, from a first look at the cells."""
    found: set[str] = {"os", "_exit_code"}
    for cell in code:
        tree = parse_python(cell.source) or parse_python(plain_python(cell.source))
        if tree is not None:
            found |= names.all_names(tree)
        for match in _RUN.finditer(cell.source):
            path = folder / match[1].strip("\"'")
            if path.suffix == ".ipynb" and depth <= _MAX_INCLUDED:
                with contextlib.suppress(NotebookError):
                    inner = [cell for cell in read(path).cells if cell.kind == "code"]
                    found |= _assigned(inner, path.parent, depth + 1)
            elif path.suffix == ".py":
                with contextlib.suppress(OSError, ValueError):
                    tree = parse_python(path.read_text("utf-8"))
                    found |= names.all_names(tree) if tree is not None else set()
    return frozenset(found)


def _python(cell: Cell, gathered: Gathered, *, was_run: bool) -> str:
    """A code cell as Python; one that cannot be becomes comments, and is reported."""
    if cell.skipped:
        gathered.add("notes", cell.number, 0, "cell_skipped")
        return _commented(cell.source)
    source = to_python(cell.source, cell.number, gathered)
    if source is not None and _compiles(source):
        tree = parse_python(source)
        odd = _async_statement(tree) if tree is not None else 0
        if not odd:
            return source
        gathered.add("blocks", cell.number, odd, "async_statement")
        return _commented(cell.source)
    never_ran = cell.failed or (was_run and cell.count is None)
    level: Level = "warns" if never_ran else "blocks"
    gathered.add(level, cell.number, _error_line(cell.source), "cell_not_python")
    return _commented(cell.source)


def _error_line(source: str) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(plain_python(source), "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        return min(error.lineno or 1, source.count("\n") + 1)
    except (ValueError, RecursionError, MemoryError):
        pass
    return 1


def _commented(source: str) -> str:
    return "\n".join(("#  " + line).rstrip() for line in source.split("\n"))


def _compiles(source: str) -> bool:
    """Whether a cell would run as one: ``return`` outside a function is found only here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _tree(source: str) -> ast.Module:
    tree = parse_python(source)
    assert tree is not None
    return tree


def _top_level(tree: ast.Module) -> Iterator[ast.stmt | ast.expr]:
    """Statements and expressions outside functions."""
    stack: list[ast.AST] = list(reversed(tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt | ast.expr):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _async_statement(tree: ast.Module) -> int:
    """Line of an ``async for`` or ``async with`` outside functions; 0 where there is none."""
    for node in _top_level(tree):
        if isinstance(node, ast.AsyncFor | ast.AsyncWith):
            return node.lineno
        generators = getattr(node, "generators", ())
        if any(generator.is_async for generator in generators):
            return node.lineno
    return 0


def _calls_something(tree: ast.Module) -> bool:
    """Whether a cell calls anything but the header's own commands."""
    return any(
        isinstance(node, ast.Call)
        and not (isinstance(node.func, ast.Name) and node.func.id.startswith("_nb_"))
        for node in ast.walk(tree)
    )


def _is_quiet(value: ast.expr) -> bool:
    """Whether an expression has nothing to show."""
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Name):
        return value.func.id in _QUIET_CALLS or value.func.id.startswith("_nb_")
    return isinstance(value.func, ast.Attribute) and value.func.attr in _QUIET_METHODS


def _order(code: list[Cell]) -> list[Finding]:
    """Cells that were last run in another order than the one they stand in."""
    last = (0, 0)
    for cell in code:
        if cell.count is None:
            continue
        if cell.count < last[0]:
            fields = {"cell": str(cell.number), "before": str(last[1])}
            return [Finding("warns", cell.number, 0, "notebook.out_of_order", fields)]
        last = (cell.count, cell.number)
    return []


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    rank = {"blocks": 0, "warns": 1, "notes": 2}
    return sorted(findings, key=lambda f: (rank[f.level], f.cell, f.line, f.key))
