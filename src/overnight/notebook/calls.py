"""What a notebook's page did for it and a script has to do without.

Colab's and Kaggle's modules, login prompts, questions to a person, notebook progress bars, and
``get_ipython()``: rewritten where that keeps the meaning, reported where a person is needed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path

from overnight.notebook.conversion import Level
from overnight.notebook.edit import Edits, parse_python
from overnight.notebook.magics import Gathered, line_magic
from overnight.notebook.places import Origins, Place, walk
from overnight.notebook.shell import quoted

#: Colab's modules by their names → what the header offers in their place.
_COLAB = "google.colab"
_LOGINS = {
    "huggingface_hub.notebook_login": "HF_TOKEN",
    "huggingface_hub.login": "HF_TOKEN",
    "huggingface_hub.interpreter_login": "HF_TOKEN",
}
_QUESTIONS = {
    "getpass.getpass": "getpass()",
    "google.colab.files.upload": "files.upload()",
    "pdb.set_trace": "pdb.set_trace()",
    "IPython.embed": "embed()",
    "IPython.core.debugger.set_trace": "set_trace()",
}
_BUILTIN_QUESTIONS = {"input": "input()", "breakpoint": "breakpoint()"}
_TQDM_NAMES = {"tqdm_notebook": "tqdm", "tnrange": "trange", "tqdm": "tqdm", "trange": "trange"}


class Calls:
    """Reads cell after cell; what it learns of imports holds for the next ones."""

    def __init__(self, gathered: Gathered, env: Mapping[str, str]) -> None:
        self._gathered = gathered
        self._env = env
        self._origins = Origins()
        self._set_by_notebook: set[str] = set()
        self._sets_any = False
        self._asked: set[str] = set()

    def read(self, tree: ast.Module, edits: Edits, cell: int) -> None:
        """Rewrite and report what stands in one cell."""
        for node, place in walk(tree):
            self._origins.learn(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node, place, edits, cell)
            elif isinstance(node, ast.Call):
                self._call(node, place, edits, cell)
            elif isinstance(node, ast.Subscript):
                self._environment(node, place, cell)
            elif isinstance(node, ast.Attribute) and self._origins.of(node) == "tqdm.notebook":
                edits.replace(node, "tqdm.auto")
        for name, _, line, conditional in [e for e in self._gathered.logins if e[1] == cell]:
            self.need(name, cell, line, conditional=conditional, in_try=False)

    def need(self, name: str, cell: int, line: int, *, conditional: bool, in_try: bool) -> None:
        """Report a variable the environment lacks."""
        if self._has(name) or in_try or name in self._asked:
            return
        if not conditional:
            self._asked.add(name)
        level: Level = "warns" if conditional or self._sets_any else "blocks"
        self._gathered.add(level, cell, line, "env_missing", name=name)

    def _has(self, name: str) -> bool:
        env = self._env
        if env.get(name) or name in self._set_by_notebook:
            return True
        home = Path(env.get("HOME") or env.get("USERPROFILE") or "/nonexistent")
        if name == "HF_TOKEN":
            hub = Path(env.get("HF_HOME") or home / ".cache" / "huggingface")
            others = ("HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
            return any(env.get(other) for other in others) or _exists(hub / "token")
        if name == "WANDB_API_KEY":
            if env.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
                return True
            return any("api.wandb.ai" in _text(home / n) for n in (".netrc", "_netrc"))
        return False

    # -- imports ------------------------------------------------------------------------------

    def _import(
        self, node: ast.Import | ast.ImportFrom, place: Place, edits: Edits, cell: int
    ) -> None:
        parts: list[str] = []
        changed = False
        for alias in node.names:
            new = None if place.in_try else self._hosted(node, alias)
            new = new or self._tqdm(node, alias)
            changed |= new is not None
            parts.append(new or _one_import(node, alias))
        if changed:
            edits.replace(node, "; ".join(parts))

    @staticmethod
    def _hosted(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str | None:
        if isinstance(node, ast.ImportFrom):
            module, local = node.module or "", alias.asname or alias.name
            if node.level or alias.name == "*":
                return None
            if module == "google" and alias.name == "colab":
                return local + " = _nb_colab"
            if module == _COLAB or module.startswith(_COLAB + "."):
                return local + " = _nb_colab." + alias.name
            if module == "kaggle_secrets":
                return local + " = _nb_kaggle." + alias.name
            return None
        if alias.name == "kaggle_secrets":
            return (alias.asname or alias.name) + " = _nb_kaggle"
        if alias.name == _COLAB or alias.name.startswith(_COLAB + "."):
            if not alias.asname:
                return "google = _nb_google"
            rest = alias.name[len(_COLAB) :]
            return alias.asname + " = _nb_colab" + rest
        return None

    @staticmethod
    def _tqdm(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str | None:
        notebook = ("tqdm.notebook", "tqdm._tqdm_notebook", "tqdm.autonotebook")
        if isinstance(node, ast.Import):
            if alias.name not in notebook:
                return None
            return "import tqdm.auto" + (" as " + alias.asname if alias.asname else "")
        local = alias.asname or alias.name
        if node.level:
            return None
        if (
            node.module in notebook
            and alias.name in _TQDM_NAMES
            or node.module == "tqdm"
            and alias.name in ("tqdm_notebook", "tnrange")
        ):
            name = _TQDM_NAMES[alias.name]
        elif node.module == "tqdm" and alias.name in ("notebook", "autonotebook"):
            return "from tqdm import auto as " + local
        elif node.module in notebook and alias.name == "*":
            return "from tqdm.auto import *"
        else:
            return None
        return "from tqdm.auto import " + name + (" as " + local if local != name else "")

    # -- calls --------------------------------------------------------------------------------

    def _call(self, node: ast.Call, place: Place, edits: Edits, cell: int) -> None:
        if self._get_ipython(node, edits, cell):
            return
        origin = self._origins.of(node.func)
        self._ask(node, origin, place, cell)
        first = node.args[0] if node.args else None
        name = (
            first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
        )
        is_secret_getter = origin == "google.colab.userdata.get" or (
            isinstance(node.func, ast.Attribute) and node.func.attr == "get_secret"
        )

        def need(variable: str) -> None:
            self.need(
                variable, cell, node.lineno, conditional=place.conditional, in_try=place.in_try
            )

        if is_secret_getter and name:
            need(name)
        elif origin in _LOGINS and not _has_token(node):
            edits.replace(node, "_nb_login(" + quoted(_LOGINS[origin]) + ")")
            need(_LOGINS[origin])
        elif origin in ("wandb.login", "wandb.init") and not _has_token(node):
            if not any(k.arg == "mode" or k.arg is None for k in node.keywords):
                need("WANDB_API_KEY")
        elif origin == "google.colab.drive.mount":
            self._gathered.add("notes", cell, node.lineno, "drive_mount")
        elif origin == "google.colab.files.download":
            self._gathered.add("notes", cell, node.lineno, "download_dropped")
        elif origin == "google.colab.auth.authenticate_user":
            self._gathered.add("warns", cell, node.lineno, "google_auth")
        elif origin in ("dotenv.load_dotenv", "os.environ.update", "dotenv.main.load_dotenv"):
            self._sets_any = True
        elif origin in ("os.environ.setdefault", "os.putenv") and name:
            self._set_by_notebook.add(name)
        elif origin in ("matplotlib.use", "matplotlib.pyplot.switch_backend") and first is not None:
            if name.lower() not in ("agg", "pdf", "svg", "ps", "cairo"):
                edits.replace(first, '"Agg"')
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "push_to_hub":
            if not _has_token(node) and not self._has("HF_TOKEN"):
                self.need("HF_TOKEN", cell, node.lineno, conditional=True, in_try=place.in_try)
        elif sys.platform != "linux" and _num_workers(node) > 0:
            self._gathered.add("warns", cell, node.lineno, "spawned_workers")

    def _ask(self, node: ast.Call, origin: str, place: Place, cell: int) -> None:
        what = _QUESTIONS.get(origin)
        if isinstance(node.func, ast.Name) and node.func.id not in self._gathered.assigned:
            what = _BUILTIN_QUESTIONS.get(origin, what)
        if what is not None and not place.in_try:
            level: Level = "warns" if place.conditional else "blocks"
            self._gathered.add(level, cell, node.lineno, "asks_person", what=what)

    def _get_ipython(self, node: ast.Call, edits: Edits, cell: int) -> bool:
        """``get_ipython().system("ls")`` and the like, as nbconvert writes magics."""
        function = node.func
        if not (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Call)
            and self._origins.of(function.value.func).rpartition(".")[2] == "get_ipython"
        ):
            return False
        literals = [
            argument.value
            for argument in node.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        if function.attr in ("system", "getoutput", "getoutputs") and len(node.args) == 1:
            edits.replace(function, "_nb_sh" if function.attr == "system" else "_nb_lines")
            self._gathered.runs_command(cell, node.lineno)
            return True
        text = " ".join(literals).strip().lstrip("%")
        if (
            function.attr in ("magic", "run_line_magic")
            and text
            and len(literals) == len(node.args)
        ):
            new = line_magic("%" + text, cell, node.lineno, self._gathered)
            edits.replace(node, _as_expression(new.partition("  #")[0].strip()))
            return True
        self._gathered.add(
            "warns", cell, node.lineno, "magic_unknown", magic="get_ipython()." + function.attr
        )
        return True

    def _environment(self, node: ast.Subscript, place: Place, cell: int) -> None:
        if self._origins.of(node.value) != "os.environ" or not isinstance(node.slice, ast.Constant):
            return
        name = node.slice.value
        if not isinstance(name, str):
            return
        if isinstance(node.ctx, ast.Store):
            self._set_by_notebook.add(name)
        elif isinstance(node.ctx, ast.Load):
            self.need(name, cell, node.lineno, conditional=place.conditional, in_try=place.in_try)


def _as_expression(code: str) -> str:
    """A converted magic line where only an expression may stand."""
    if code.startswith("os.environ[") and "] = " in code:
        name, _, value = code[len("os.environ[") :].partition("] = ")
        return "os.environ.update({" + name + ": " + value + "})"
    tree = parse_python(code)
    is_one = tree is not None and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr)
    return code if is_one else "None"


def _one_import(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    name = alias.name + (" as " + alias.asname if alias.asname else "")
    if isinstance(node, ast.Import):
        return "import " + name
    return "from " + "." * node.level + (node.module or "") + " import " + name


def _has_token(node: ast.Call) -> bool:
    named = {keyword.arg for keyword in node.keywords}
    return bool(node.args) or bool(named & {"token", "key", "use_auth_token", None})


def _num_workers(node: ast.Call) -> int:
    for keyword in node.keywords:
        if keyword.arg == "num_workers" and isinstance(keyword.value, ast.Constant):
            return keyword.value.value if isinstance(keyword.value.value, int) else 0
    return 0


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
