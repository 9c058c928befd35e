"""Does anything wait for a person: a question, a login, a window, a password?

A job's input is empty: a question ends it at once. Its terminal is gone: a window that has to be
closed keeps it waiting for ever.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from overnight.preflight.check import Level
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.program import Program, Site
from overnight.preflight.target.values import HOLE

#: Dotted name → how a person knows it.
_QUESTIONS = {
    "input": "input()", "getpass.getpass": "getpass()", "pdb.set_trace": "pdb.set_trace()",
    "breakpoint": "breakpoint()", "IPython.embed": "embed()", "code.interact": "code.interact()",
    "ipdb.set_trace": "ipdb.set_trace()", "click.prompt": "click.prompt()",
    "click.confirm": "click.confirm()", "typer.prompt": "typer.prompt()",
    "typer.confirm": "typer.confirm()", "click.pause": "click.pause()",
    "IPython.core.debugger.set_trace": "set_trace()", "ipywidgets.interact": "interact()",
    "huggingface_hub.notebook_login": "notebook_login()",
    "google.colab.files.upload": "files.upload()", "sys.stdin.readline": "sys.stdin.readline()",
    "pwinput.pwinput": "pwinput()",
}  # fmt: skip
_DISPLAY = {
    "cv2.imshow": "cv2.imshow()", "cv2.waitKey": "cv2.waitKey()", "tkinter.Tk": "tkinter.Tk()",
    "cv2.namedWindow": "cv2.namedWindow()", "pygame.display.set_mode": "pygame.display",
}  # fmt: skip
_HUB_LOGINS = frozenset({"huggingface_hub.login", "huggingface_hub.interpreter_login"})
_SHELLS = frozenset({
    "os.system", "os.popen", "subprocess.run", "subprocess.call", "subprocess.check_call",
    "subprocess.check_output", "subprocess.Popen", "_nb_sh", "_nb_lines", "_nb_script",
    "subprocess.getoutput",
})  # fmt: skip
#: Commands that ask: pattern → finding.
_ASKING = (
    (re.compile(r"(?:^|[;&|]\s*)sudo\s+(?!-n\b)"), "shell_sudo"),
    (re.compile(r"\bgit\s+(?:clone|pull|fetch|push)\b[^;&|]*(?:\bgit@|\bssh://)"), "shell_ssh_key"),
    (re.compile(r"(?:^|[;&|]\s*)(?:ssh|scp|sftp)\s+(?!-o\s*BatchMode)"), "shell_ssh_key"),
    (re.compile(r"\bwandb\s+login\s*(?:$|[;&|])"), "shell_login"),
    (re.compile(r"\b(?:huggingface-cli|hf(?:\s+auth)?)\s+login\b(?![^;&|]*--token)"),
     "shell_login"),
    (re.compile(r"\b(?:gcloud\s+auth|gsutil\s+config|aws\s+configure|az\s+login|docker\s+login)\b"),
     "shell_login"),
    (re.compile(r"\b(?:apt|apt-get|conda|mamba|yum|dnf)\s+(?:install|remove|upgrade|create)\b"
                r"(?![^;&|]*\s(?:-\w*y\w*|--yes|--assume-yes)\b)"), "shell_confirm"),
    (re.compile(r"\bpip3?\s+uninstall\b(?![^;&|]*\s(?:-y|--yes)\b)"), "shell_confirm"),
    (re.compile(r"(?:^|[;&|]\s*)read\s+-?p?\b"), "shell_read"),
)  # fmt: skip


def check_prompts(program: Program) -> list[Finding]:
    """Everything in the program that would wait for a person."""
    return _Prompts(program).run()


def check_shell_script(path: str) -> list[Finding]:
    """Lines of a shell script that would wait for a person."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return []
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        code = _asks(line.strip()) if not line.lstrip().startswith("#") else ""
        if code:
            where = f"{os.path.basename(path)}:{number}"
            fields = {"command": line.strip()[:80]}
            found.append(Finding("prompts", "warn", code, fields, fields, where))
    return found


class _Prompts:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._job = program.job
        self._env = program.job.env
        self._findings: list[Finding] = []
        self._told: set[str] = {
            self._place(item.cell, item.line)
            for item in self._job.found
            if item.key in ("notebook.asks_person", "notebook.env_missing")
        }

    @staticmethod
    def _place(cell: int, line: int) -> str:
        return f"{cell}:{line}"

    def run(self) -> list[Finding]:
        for site in self._program.sites:
            if isinstance(site.node, ast.Call) and (
                site.module is not self._program.entry or self._job.is_own(site.line)
            ):
                self._call(site, site.node)
        return self._findings

    def _call(self, site: Site, node: ast.Call) -> None:
        evaluator = self._program.evaluator
        dotted = evaluator.dotted(node.func, site.scope)
        if dotted in _QUESTIONS:
            if not site.in_try:
                self._add(site, "asks", what=_QUESTIONS[dotted])
        elif dotted in _DISPLAY:
            if not self._has_display():
                self._add(site, "no_display", what=_DISPLAY[dotted])
        elif dotted == "matplotlib.pyplot.show":
            self._show(site, node)
        elif dotted == "matplotlib.use" and node.args:
            name = evaluator.value(node.args[0], site.scope).one
            is_window = isinstance(name, str) and name.lower() in (
                "tkagg", "qt5agg", "qtagg", "qt4agg", "gtk3agg", "gtk4agg", "wxagg", "macosx",
            )  # fmt: skip
            if is_window and not self._has_display():
                self._add(site, "backend", what=str(name))
        elif dotted == "google.colab.drive.mount":
            if self._job.kind == "script":
                self._add(site, "asks", what="drive.mount()")
        elif dotted == "webbrowser.open":
            self._add(site, "browser", sure=False)
        elif dotted in ("wandb.login", "wandb.init"):
            self._wandb(site, node)
        elif dotted in _HUB_LOGINS:
            if not _has_token(node) and not self._has_hub_token():
                self._add(site, "hub_login")
        elif dotted.endswith(".authenticate") and "kaggle" in dotted:
            self._kaggle(site)
        elif dotted in _SHELLS:
            self._shell(site, node)

    def _show(self, site: Site, node: ast.Call) -> None:
        """``plt.show()`` waits where there is a display and nobody chose a backend without one."""
        if self._job.kind == "notebook" or not self._has_display() or self._env.get("MPLBACKEND"):
            return
        source = ast.unparse(self._program.entry.tree)
        if re.search(r"\b(?:use|switch_backend)\(['\"](?:agg|pdf|svg|ps|cairo)", source, re.I):
            return
        if re.search(r"\bplt\.ion\(|interactive\(True", source):
            return
        blocks = next((word.value for word in node.keywords if word.arg == "block"), None)
        if blocks is None or self._program.evaluator.truth(blocks, site.scope) is not False:
            self._add(site, "window", sure=False)

    def _wandb(self, site: Site, node: ast.Call) -> None:
        if self._env.get("WANDB_API_KEY") or _has_token(node) or site.in_try:
            return
        if self._env.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
            return
        names = self._program.evaluator.set_names
        mode = next((word.value for word in node.keywords if word.arg in ("mode", None)), None)
        if mode is not None:
            told = self._program.evaluator.value(mode, site.scope).one
            if told != "online":
                return
        if names & {"WANDB_MODE", "WANDB_API_KEY", "WANDB_DISABLED", "WANDB_BASE_URL"}:
            return
        home = Path(self._home())
        host = urlsplit(self._wandb_url(home)).hostname or "api.wandb.ai"
        if any(host in _text(home / name) for name in (".netrc", "_netrc")):
            return
        self._add(site, "wandb")

    def _wandb_url(self, home: Path) -> str:
        """Where W&B lives: a server of one's own is named by a variable, or by its settings."""
        if url := self._env.get("WANDB_BASE_URL"):
            return url
        folder = self._env.get("WANDB_CONFIG_DIR") or str(home / ".config" / "wandb")
        for settings in (Path(self._job.cwd) / "wandb" / "settings", Path(folder) / "settings"):
            if told := re.search(r"^base_url\s*=\s*(\S+)", _text(settings), re.MULTILINE):
                return told[1]
        return ""

    def _kaggle(self, site: Site) -> None:
        folder = self._env.get("KAGGLE_CONFIG_DIR") or str(Path(self._home()) / ".kaggle")
        has_key = self._env.get("KAGGLE_USERNAME") and self._env.get("KAGGLE_KEY")
        if not has_key and not (Path(folder) / "kaggle.json").is_file():
            self._add(site, "kaggle")

    def _shell(self, site: Site, node: ast.Call) -> None:
        if not node.args:
            return
        value = self._program.evaluator.value(node.args[-1 if _is_script(node) else 0],
                                              site.scope).one  # fmt: skip
        if isinstance(value, tuple):
            value = " ".join(str(part) for part in value if isinstance(part, str))
        if not isinstance(value, str):
            return
        for line in value.splitlines():
            code = _asks(line.strip())
            if code == "shell_sudo" and hasattr(os, "geteuid") and os.geteuid() == 0:
                continue  # root is asked for no password
            if code:
                shown = line.strip().replace(HOLE, "…")[:80]
                self._add(site, code, sure=False, command=shown)

    def _add(self, site: Site, code: str, *, sure: bool = True, **fields: str) -> None:
        place = self._program.where(site)
        if place in self._told and self._job.kind == "notebook":
            return
        level: Level = "bad" if sure and site.sure and not site.in_try else "warn"
        facts = {**fields}
        finding = Finding("prompts", level, code, facts, fields, place)
        if finding not in self._findings:
            self._findings.append(finding)

    def _has_display(self) -> bool:
        return bool(self._env.get("DISPLAY") or self._env.get("WAYLAND_DISPLAY"))

    def _home(self) -> str:
        return self._env.get("HOME") or self._env.get("USERPROFILE") or "/nonexistent"

    def _has_hub_token(self) -> bool:
        names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
        if any(self._env.get(name) for name in names):
            return True
        folder = self._env.get("HF_HOME") or str(Path(self._home()) / ".cache/huggingface")
        return (Path(folder) / "token").is_file()


def _is_script(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "_nb_script"


def _asks(line: str) -> str:
    return next((code for pattern, code in _ASKING if pattern.search(line)), "")


def _has_token(node: ast.Call) -> bool:
    given = [word.value for word in node.keywords if word.arg in ("token", "key", "api_key", None)]
    return bool(node.args or given) and not all(
        isinstance(value, ast.Constant) and value.value is None for value in [*node.args, *given]
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
