""".env.template names every variable that is read, and none that is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "overnight"
# What notebook/header/ holds is text of the converted script: its variables are the job's.
PASTED = PACKAGE / "notebook" / "header"
SOURCES = sorted({*PACKAGE.rglob("*.py")} - {*PASTED.glob("[a-z]*.py")})
TEMPLATE = (ROOT / ".env.template").read_text(encoding="utf-8")
#: Variables of which a person chooses the end of the name → the one in the template.
PREFIXES = {"OVERNIGHT_CHANNEL_": "OVERNIGHT_CHANNEL_PHONE"}
NAMED = re.findall(r"^# ?([A-Z][A-Z0-9_]+)=", TEMPLATE, re.M)

# Set by the system, the shell or the place a run happens in, for purposes of their own: nobody
# writes them into a .env for Overnight.
NOT_OURS = re.compile(
    r"""
    HOME | PATH | USER | SHELL | TERM | COLUMNS | LINES | TZ | TMPDIR | PWD           # the system
    | LANG | LC_[A-Z]+ | XDG_[A-Z_]+ | LOCALAPPDATA | APPDATA | USERPROFILE | NO_COLOR
    | VIRTUAL_ENV | CONDA_[A-Z_]+ | PYENV_[A-Z]+ | PYTHON[A-Z]*               # the job's Python
    | SSH_[A-Z]+ | TMUX | STY | (WAYLAND_)?DISPLAY | DBUS_[A-Z_]+ | INVOCATION_ID        # the login
    | (COLAB|KAGGLE|KUBERNETES|WSL|JUPYTERHUB|SINGULARITY|APPTAINER)_[A-Z_]+    # the place
    | container | CODESPACES | (JUPYTER|JPY)_[A-Z_]+
    | _[A-Z_]+ | OVERNIGHT_TRIAL_[A-Z_]+ | OVERNIGHT_(ASKED|AGENT_DIR) # between our programs
    | (LOCAL_|NODE_|GLOBAL_)?RANK | WORLD_SIZE | [A-Z]+_PROCID | OMPI_[A-Z_]+ | PMI_[A-Z]+
    | CUDA_[A-Z_]+ | NVIDIA_[A-Z_]+ | HF_(HOME|HUB_CACHE) | MPLBACKEND | (TQDM|TTY)_[A-Z]+ # the job
    | HUGGINGFACE_HUB_CACHE | TRANSFORMERS_CACHE | TORCH_HOME | WANDB_(BASE_URL|CONFIG_DIR)
    """,
    re.VERBOSE,
)
# Handed on, and read by libraries, not by us.
READ_BY_LIBRARIES = re.compile(r"WANDB_[A-Z_]+|HTTPS_PROXY|REQUESTS_CA_BUNDLE")


def variables_read() -> Iterator[tuple[str, str]]:
    """Name and place of each variable the source looks up in ``os.environ`` by a literal name."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            key: ast.expr | None = None
            if isinstance(node, ast.Call) and node.args:
                called = ast.unparse(node.func)
                if called.endswith(("env.get", "environ.get", "environ.pop", "getenv")):
                    key = node.args[0]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
                key = node.slice
            elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]).endswith(
                "environ"
            ):
                key = node.left
            elif isinstance(node, ast.Constant) and re.fullmatch(
                r"OVERNIGHT_[A-Z_]+", str(node.value)
            ):
                key = node
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                name = next((PREFIXES[p] for p in PREFIXES if key.value.startswith(p)), key.value)
                yield name, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_variable_that_is_read_is_in_the_template() -> None:
    missing = [
        f"{name} ({place})"
        for name, place in variables_read()
        if name not in NAMED and not NOT_OURS.fullmatch(name)
    ]
    assert missing == []


@pytest.mark.parametrize("name", NAMED)
def test_every_variable_of_the_template_is_read(name: str) -> None:
    read = {found for found, _ in variables_read()}
    assert name in read or READ_BY_LIBRARIES.fullmatch(name)


def test_the_template_changes_nothing_when_copied() -> None:
    lines = [line for line in TEMPLATE.splitlines() if line.strip()]
    assert all(line.startswith("#") for line in lines)
    assert sorted(NAMED) == sorted(set(NAMED))
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_MODE", "WANDB_TAGS"):
        assert name in NAMED


def test_each_variable_of_the_template_has_a_remark_above_it() -> None:
    lines = TEMPLATE.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"# ?[A-Z][A-Z0-9_]+=", line):
            above = lines[number - 1]
            assert re.match(r"# [A-Z]", above), f"line {number + 1}: no remark above {line}"
            assert not re.match(r"# ?[A-Z][A-Z0-9_]+=", above), f"line {number + 1}"
