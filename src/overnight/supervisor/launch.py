"""``launch.json``: how a run's job is started, exactly. Written before anything starts, mode 0600.

The supervisor reads nothing else to start an attempt, so the next one is the same job whatever
shell asks for it. Secrets are not in it: they come from the environment of whoever starts or
resumes the run.
"""

from __future__ import annotations

import binascii
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from overnight.errors import LedgerError
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.redact import is_secret_name, redact, secret_values

#: The start of the name of a variable that shapes what a job does, and so is kept.
_KEPT_PREFIXES = (
    "CUDA", "NVIDIA", "NCCL", "GLOO", "TORCH", "PYTORCH", "TRITON", "XLA", "JAX", "TF_", "KERAS",
    "OMP_", "MKL_", "OPENBLAS", "NUMEXPR", "KMP_", "HF_", "TRANSFORMERS", "TOKENIZERS", "DATASETS",
    "WANDB", "MLFLOW", "PYTHON", "CONDA", "MAMBA", "VIRTUAL_ENV", "LC_", "XDG_", "OVERNIGHT_",
    "MASTER_", "ROCM", "HIP_", "HSA_", "SLURM", "TQDM", "MPL",
)  # fmt: skip
_KEPT_NAMES = frozenset(
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM",
     "LD_LIBRARY_PATH", "LD_PRELOAD", "LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DATA_DIR", "WORLD_SIZE",
     "COLUMNS", "KAGGLE_DATA_PROXY_URL", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY",
     "HTTPS_PROXY", "NO_PROXY", "SYSTEMROOT", "COMSPEC", "PATHEXT"]
)  # fmt: skip
#: Belongs to one attempt, never kept.
_OWN = frozenset(
    ["OVERNIGHT_RUN_DIR", "OVERNIGHT_ATTEMPT", "OVERNIGHT_RESUME", "OVERNIGHT_CRASH_AT"]
)


@dataclass(frozen=True, slots=True)
class Launch:
    """One run's job and how it is looked after."""

    argv: tuple[str, ...]
    cwd: str
    #: The variables that make the job the same job again; no secrets among them.
    env: Mapping[str, str]
    #: Names of further variables (secrets, ``--env NAME``), read anew at each start.
    env_names: tuple[str, ...] = ()
    #: The file that must not change between attempts, and its sha256 when it was started.
    entry: str = ""
    entry_sha256: str = ""
    #: Where ``entry`` is a converted notebook: the notebook, its hash, what it was converted with.
    notebook: str = ""
    notebook_sha256: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    path_map: Mapping[str, str] = field(default_factory=dict)
    restart: int = 0
    stall_after_s: float | None = None
    #: Where the root was then. A root that was moved takes the paths below it along.
    root: str = ""

    def write(self, run: RunPaths) -> None:
        """Writes launch.json."""
        # Escaped, so that a name that is no Unicode comes back as the bytes it was.
        files.replace(run.launch_json, json.dumps(asdict(self), indent=1).encode() + b"\n")

    @classmethod
    def read(cls, run: RunPaths) -> Launch:
        """Reads launch.json.

        Raises:
            LedgerError: It is missing or damaged.
        """
        try:
            with open(run.launch_json, "rb") as file:
                said = json.loads(file.read())
            assert isinstance(said, dict)
            known: dict[str, Any] = {f.name: said[f.name] for f in fields(cls) if f.name in said}
            for name in ("argv", "env_names"):
                known[name] = tuple(str(item) for item in known.get(name, ()))
            launch = cls(**known)
            assert launch.argv
        except (OSError, ValueError, RecursionError, AssertionError, TypeError) as error:
            raise LedgerError("run.no_launch", where=run.launch_json) from error
        return launch._in(run.root)

    def _in(self, root: str) -> Launch:
        """The same with its paths below ``root``, if the root has been moved there."""
        was = self.root
        if not was or was == root or os.path.exists(os.path.join(was, "experiments")):
            return self

        def moved(text: str) -> str:
            inside = text == was or text.startswith(was + os.sep)
            return root + text[len(was) :] if inside else text

        env = dict(self.env)
        if "PYTHONPATH" in env:
            env["PYTHONPATH"] = os.pathsep.join(map(moved, env["PYTHONPATH"].split(os.pathsep)))
        return replace(
            self,
            argv=tuple(map(moved, self.argv)),
            cwd=moved(self.cwd),
            env=env,
            entry=moved(self.entry),
            notebook=moved(self.notebook),
            path_map={name: moved(path) for name, path in self.path_map.items()},
            root=root,
        )

    def environment(self, now: Mapping[str, str]) -> dict[str, str]:
        """The environment of an attempt started from the environment ``now``.

        What was kept wins over what is there now; everything else, secrets above all, is as now.
        """
        return {**{name: value for name, value in now.items() if name not in _OWN}, **self.env}

    def changed(self) -> str:
        """The file that is not what it was at the first start, or an empty string."""
        for path, digest in (
            (self.entry, self.entry_sha256),
            (self.notebook, self.notebook_sha256),
        ):
            if path and digest and sha256(path) != digest:
                return path
        return ""


def kept(env: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that is kept: what shapes the job, and no secret."""
    secrets = secret_values(env)
    return {
        name: value
        for name, value in env.items()
        if name not in _OWN
        and (name in _KEPT_NAMES or name.startswith(_KEPT_PREFIXES))
        and not is_secret_name(name)
        # A proxy or a tracker may have its password in its address.
        and redact(value, {}) == value
        and not any(secret in value for secret in secrets)
    }


def hide(argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """``argv`` with each secret of the environment replaced by its variable, ``${NAME}``."""
    hidden = []
    for item in argv:
        for value, name in secret_values(env).items():
            item = item.replace(value, "${" + name + "}")
        hidden.append(item)
    return tuple(hidden)


def reveal(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The way back: only variables that name a secret are filled in, all other text stays."""

    def value(match: re.Match[str]) -> str:
        return env.get(match[1], match[0]) if is_secret_name(match[1]) else match[0]

    return [re.sub(r"\$\{(\w+)\}", value, item) for item in argv]


def sha256(path: str) -> str:
    """The sha256 of a file; an empty string if it cannot be read."""
    import hashlib  # brings OpenSSL along, 4 MB that a supervisor does without all night

    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def job_environment(
    base: Mapping[str, str],
    run: RunPaths,
    *,
    cwd: str,
    attempt: int,
    resumed: bool,
    import_path: str,
) -> dict[str, str]:
    """What the job finds in its environment: the caller's, and what makes its output readable.

    Without the first four a program that does not see a terminal holds its output back, and Rich
    and Lightning print one frame in all. A progress bar each 5 s keeps the log small.
    """
    path = [part for part in base.get("PYTHONPATH", "").split(os.pathsep) if part]
    if import_path not in path:
        path.append(import_path)
    job = {
        "PYTHONUNBUFFERED": "1",
        "TTY_COMPATIBLE": "1",
        "TTY_INTERACTIVE": "1",
        "TQDM_MININTERVAL": "5",
        **base,
        "PYTHONPATH": os.pathsep.join(path),
        # As a shell would have it there; a resuming shell stands somewhere else.
        "PWD": cwd,
        "OVERNIGHT_RUN_DIR": run.dir,
        "OVERNIGHT_ATTEMPT": str(attempt),
    }
    if resumed:
        job["OVERNIGHT_RESUME"] = "1"
    else:
        job.pop("OVERNIGHT_RESUME", None)
    return job


def import_path(state_dir: str) -> str:
    """A folder that holds nothing but ``overnight``, for the job's PYTHONPATH.

    The job's own Python may not have Overnight installed; our site-packages must not reach it.
    A link to this package is all it needs, since what it imports is standard library only.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = os.path.join(state_dir, "import", f"{binascii.crc32(os.fsencode(package)):08x}")
    link = os.path.join(folder, "overnight")
    there = os.path.exists(os.path.join(link, "__init__.py"))
    if not there or (os.path.islink(link) and os.readlink(link) != package):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        aside = f"{link}.{os.getpid()}"
        files.discard(aside)
        if sys.platform == "win32":  # links need a privilege there
            import shutil

            shutil.copytree(package, aside, dirs_exist_ok=True)
        else:
            os.symlink(package, aside)
        os.replace(aside, link)
    return folder
