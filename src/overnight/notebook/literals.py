"""Strings in the notebook: platform folders, files it reads, and secrets."""

# ruff: noqa: PTH100, PTH112, PTH118, PTH110
# os.path, not pathlib: what is looked at are strings of the notebook, `..` and all.
from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path

from overnight.notebook.conversion import InputPath, Level
from overnight.notebook.edit import Edits
from overnight.notebook.magics import Gathered
from overnight.notebook.places import Origins, Place, walk
from overnight.notebook.shell import block, quoted
from overnight.redact import is_secret_name, redact, secret_values

#: Folders of hosted notebooks; True where data is read from them that must be there before.
PLATFORM_ROOTS = {
    "/content/drive/MyDrive": True,
    "/content/drive/My Drive": True,
    "/content/drive": True,
    "/content/gdrive": True,
    "/content": False,
    "/kaggle/input": True,
    "/kaggle/working": False,
    "/kaggle/temp": False,
    "/kaggle": False,
    "../input": True,
    "/opt/ml/input": True,
    "/opt/ml": False,
    "/gdrive": True,
}
_READERS = frozenset({
    "read_csv", "read_json", "read_parquet", "read_excel", "read_table", "read_pickle",
    "read_feather", "loadtxt", "genfromtxt", "load", "open", "imread", "ImageFolder", "ZipFile",
    "read_image", "loadmat", "load_weights", "DatasetFolder", "File", "safe_open", "load_file",
})  # fmt: skip
_MAKERS = frozenset({"makedirs", "mkdir"})
#: Shorter literals assigned to `API_KEY` or `token` are words: "<pad>", "label".
_MIN_LITERAL_SECRET = 16
_MAGIC_OPTION = re.compile(r"--?[\w-]+[= ][\"']?[{$]\S+")


class Literals:
    """Reads cell after cell; ``mapped`` and ``inputs`` are what it has found so far."""

    def __init__(
        self, gathered: Gathered, env: Mapping[str, str], paths: Mapping[str, str]
    ) -> None:
        self._gathered = gathered
        self._env = env
        self._secrets = secret_values(env)
        self._paths = {
            key.rstrip("/") or "/": os.path.abspath(Path(value).expanduser())
            for key, value in paths.items()
        }
        roots = sorted({*PLATFORM_ROOTS, *self._paths}, key=lambda root: -len(root))
        self._named = re.compile(
            r"(?<![\w.}/\-~])(?P<root>" + "|".join(re.escape(root) for root in roots) + r")"
            r"(?P<rest>/[^\s\"';:,()&|<>{}]*)?(?=[\s\"';:,()&|<>{}\\]|$)"
        )
        self._origins = Origins()
        self._told: dict[str, Level] = {}
        self._made: set[str] = set()
        self._makes_folders = False
        self._used: set[str] = set()
        self.inputs: list[InputPath] = []
        self.mapped: dict[str, str] = {}

    def read(self, tree: ast.Module, edits: Edits, cell: int) -> None:
        """Rewrite and report what stands in one cell."""
        passed_over: set[int] = set()
        remarks = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node, place in walk(tree):
            self._origins.learn(node)
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                passed_over.add(id(node.right))  # base + "/content": the end of a path
            elif (
                isinstance(node, ast.Call)
                and self._origins.of(node.func) == "google.colab.drive.mount"
            ):
                passed_over.update(id(argument) for argument in node.args)
            elif isinstance(node, ast.MatchValue):
                passed_over.add(id(node.value))
            elif isinstance(node, ast.JoinedStr):
                passed_over.update(id(value) for value in node.values)
                self._fstring(node, place, edits, cell)
            elif isinstance(node, ast.Constant) and id(node) not in passed_over:
                is_remark = id(node) in remarks
                self._constant(node, place, edits, cell, is_remark=is_remark)
            elif isinstance(node, ast.Constant) and id(node) in passed_over:
                self._secret(node, edits)
            elif isinstance(node, ast.Call):
                self._files(node, place, cell)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                self._named_secret(node, cell)

    def unused(self) -> list[str]:
        """Mapped folders the notebook never names."""
        return sorted(set(self._paths) - self._used)

    # -- folders ------------------------------------------------------------------------------

    def _constant(
        self, node: ast.Constant, place: Place, edits: Edits, cell: int, *, is_remark: bool
    ) -> None:
        if self._secret(node, edits) or not isinstance(node.value, str) or is_remark:
            return
        new = self._mapped_text(node.value, place, cell, node.lineno)
        if new != node.value:
            is_block = "\n" in new and edits.text(node).count("\n") >= new.count("\n")
            edits.replace(node, block(new) if is_block else quoted(new))

    def _mapped_text(self, text: str, place: Place, cell: int, line: int) -> str:
        if "/" not in text:
            return text

        def write(match: re.Match[str]) -> str:
            is_whole = match.span() == (0, len(text))
            return self._folder(match, place, cell, line, is_whole=is_whole)

        return self._named.sub(write, text)

    def _folder(
        self, match: re.Match[str], place: Place, cell: int, line: int, *, is_whole: bool
    ) -> str:
        path = match.group()
        key = next(
            (k for k in sorted(self._paths, key=len, reverse=True)
             if path == k or path.startswith(k + "/")), None,
        )  # fmt: skip
        root = match["root"]
        is_input = PLATFORM_ROOTS.get(root, False)
        if key is not None:
            self._used.add(key)
            target = self._paths[key]
            new = target + path[len(key) :]
            self.mapped[key] = target
            if not os.path.isdir(target):
                self._tell(key, "blocks", cell, line, "map_target_missing", folder=target)
            elif is_input and path[len(key) :].strip("/") and not _is_pattern(path):
                self._check(new, place, cell, line, is_whole=is_whole)
            return new
        base = self._gathered.folder
        here = os.path.join(base, root) if root.startswith("..") else root
        if not os.path.exists(here) and not (root.startswith("..") and os.path.exists(root)):
            if place.in_test or place.in_try:
                return path
            is_sure = not place.conditional and not (
                self._makes_folders and os.access("/", os.W_OK)
            )
            option = "--map " + root + "=" + ("./data" if is_input else "./work")
            level: Level = "blocks" if is_sure else "warns"
            self._tell(root, level, cell, line, "platform_path", folder=root, option=option)
        elif is_input and not _is_pattern(path) and not root.startswith(".."):
            self._check(path, place, cell, line, is_whole=is_whole)
        return path

    def _check(self, path: str, place: Place, cell: int, line: int, *, is_whole: bool) -> None:
        """Whether a file or folder that is read is there."""
        if os.path.exists(path) or place.in_test or place.in_try or path in self._made:
            return
        may_be_made = self._gathered.may_be_made(cell, line)
        is_sure = is_whole and not place.conditional and not may_be_made
        level: Level = "blocks" if is_sure else "warns"
        self._tell(path, level, cell, line, "input_missing", path=redact(path, self._env))

    def _tell(
        self, about: str, level: Level, cell: int, line: int, key: str, **fields: str
    ) -> None:
        """Report once; again only where it turns from a warning into a block."""
        if self._told.get(about) in (level, "blocks"):
            return
        findings = self._gathered.findings
        findings[:] = [
            f for f in findings
            if not (f.key == "notebook." + key and dict(f.fields) == fields)
        ]  # fmt: skip
        self._told[about] = level
        self._gathered.add(level, cell, line, key, **fields)

    def _fstring(self, node: ast.JoinedStr, place: Place, edits: Edits, cell: int) -> None:
        text = edits.text(node)
        quote = '"' if re.match(r"(?i)[a-z]*\"", text) else "'"
        new = self._mapped_text(text, place, cell, node.lineno)
        for value, name in self._secrets.items():
            inner = "'" if quote == '"' else '"'
            new = new.replace(value, "{os.environ[" + inner + name + inner + "]}")
        if new != text:
            edits.replace(node, new)

    # -- files --------------------------------------------------------------------------------

    def _files(self, node: ast.Call, place: Place, cell: int) -> None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        self._makes_folders |= name in _MAKERS
        literals = [
            part.value
            for part in [*node.args, *(keyword.value for keyword in node.keywords)]
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        first = node.args[0] if node.args else None
        is_reader = name in _READERS and isinstance(first, ast.Constant)
        if is_reader and name == "open" and len(literals) > 1 and literals[1][:1] in "wax":
            is_reader = False
        if not is_reader:
            self._made.update(literals)
            return
        if place.conditional or place.in_test or self._gathered.may_be_made(cell, node.lineno):
            return
        path = literals[0] if literals else ""
        if path and "://" not in path and not _is_pattern(path) and path not in self._made:
            shown = self._named.sub(lambda match: self._target(match.group()), path)
            if not self._has_secret(shown):
                self.inputs.append(InputPath(shown, cell, node.lineno))

    def _target(self, path: str) -> str:
        for key in sorted(self._paths, key=len, reverse=True):
            if path == key or path.startswith(key + "/"):
                return self._paths[key] + path[len(key) :]
        return path

    # -- secrets ------------------------------------------------------------------------------

    def _has_secret(self, text: str) -> bool:
        return any(value in text for value in self._secrets)

    def _secret(self, node: ast.Constant, edits: Edits) -> bool:
        """Write the environment's variable for a literal that equals or holds its secret."""
        if not self._secrets:
            return False
        if isinstance(node.value, bytes):
            text, tail = node.value.decode("latin-1"), ".encode()"
            if text not in self._secrets:
                return False
            return edits.replace(node, _variable(self._secrets[text]) + tail)
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            name = self._secrets.get(str(node.value)) if abs(node.value) < 10**60 else None
            return bool(name) and edits.replace(node, "int(" + _variable(name or "") + ")")
        if not isinstance(node.value, str):
            return False
        found = re.split("(" + "|".join(map(re.escape, self._secrets)) + ")", node.value)
        if len(found) == 1:
            return False
        parts = [
            _variable(self._secrets[part]) if index % 2 else quoted(part)
            for index, part in enumerate(found)
            if part
        ]
        code = " + ".join(parts)
        return edits.replace(node, code if len(parts) == 1 else "(" + code + ")")

    def _named_secret(self, node: ast.Assign | ast.AnnAssign, cell: int) -> None:
        """``API_KEY = "…"``: a secret by its name and its looks."""
        value = node.value
        if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
            return
        text = value.value
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [t.id if isinstance(t, ast.Name) else getattr(t, "attr", "") for t in targets]
        has_looks = (
            len(text) >= _MIN_LITERAL_SECRET
            and re.fullmatch(r"[\w+/=.-]+", text) is not None
            and any(char.isdigit() for char in text)
            and any(char.isalpha() for char in text)
        )
        if has_looks and any(is_secret_name(name) for name in names):
            self._report_secret(cell, value.lineno)

    def _report_secret(self, cell: int, line: int) -> None:
        finding = ("warns", cell, line, "secret_literal")
        if not any((f.cell, f.line, f.key) == (cell, line, "notebook.secret_literal")
                   for f in self._gathered.findings):  # fmt: skip
            self._gathered.add("warns", *finding[1:3], "secret_literal")

    def look_for_secrets(self, source: str, cell: int) -> None:
        """Report lines of a cell as written that hold something which looks like a secret."""
        if redact(source, {}) == source and not self._has_secret(source):
            return
        for number, line in enumerate(source.split("\n"), 1):
            bare = _MAGIC_OPTION.sub("", line)
            if self._has_secret(line):
                self._gathered.add("notes", cell, number, "secret_replaced")
            elif redact(bare, {}) != bare:
                self._report_secret(cell, number)

    def cleaned(self, source: str) -> str:
        """A converted cell whose comments hold no secret and nothing like a cell's mark."""
        if not self._has_secret(source) and "# %%" not in source and redact(source, {}) == source:
            return source
        lines = source.split("\n")
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        except (tokenize.TokenError, SyntaxError, IndentationError):
            return self.clean_comment(source)
        for token in reversed(tokens):
            row, start = token.start
            if token.type == tokenize.COMMENT:
                line = lines[row - 1]
                lines[row - 1] = line[:start] + self.clean_comment(line[start:])
            elif token.type == tokenize.STRING and not re.match(r"(?i)[bu]?r", token.string):
                for index in range(row, token.end[0]):
                    lines[index] = re.sub(r"^#(?= %%)", r"\\x23", lines[index])
        return "\n".join(lines)

    def clean_comment(self, text: str) -> str:
        """Comment text without secrets and marks."""
        return re.sub(
            r"^# (?=%% (?:cell \d|\[markdown\]))",
            "#  ",
            redact(text, self._env),
            flags=re.MULTILINE,
        )


def _variable(name: str) -> str:
    return "os.environ[" + quoted(name) + "]"


def _is_pattern(path: str) -> bool:
    return any(char in path for char in "*?[{")
