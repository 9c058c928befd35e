"""A search over the options of a script or a notebook: what was asked, and how a trial is called.

``script.json`` of the search's run has all of it; the process that searches reads nothing else.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from overnight.errors import LedgerError
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.supervisor.launch import reveal
from overnight.tasks.base import Json
from overnight.tuning import space
from overnight.tuning.ask import Settings
from overnight.tuning.config import Tuning

_FILE = "script.json"
#: As W&B's agent calls a program.
COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
_ENVVAR = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Script:
    """What is searched, and how.

    Attributes:
        path: The script or the notebook, absolute.
        args: What each trial is given before its values; a secret stands as ``${NAME}``.
        python: The trials' interpreter.
        cwd: The folder they run in.
        metric: The number that counts, by the name the script logs or prints.
        goal: Of that number.
        seed: Of the search.
        max_step: Epochs of a trial, as far as its arguments or its text tell; 0: unknown.
        tuning: How it is searched; all that ``tuning:`` of a config may say.
        command: How the program is called.
        path_map: Folders a notebook names → folders here.
    """

    path: str
    args: tuple[str, ...]
    python: str
    cwd: str
    metric: str
    goal: str
    tuning: Mapping[str, Any]
    seed: int = 0
    max_step: int = 0
    command: tuple[str, ...] = COMMAND
    path_map: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_notebook(self) -> bool:
        """Whether its values are parameters of cells, and no arguments."""
        return self.path.endswith(".ipynb")

    @property
    def workers(self) -> int:
        """Trials at a time."""
        return Tuning(**self.tuning).workers

    def settings(self) -> Settings:
        """As a search is asked for it."""
        tuning = Tuning(**self.tuning)
        return Settings(
            space=space.of(tuning.search_space),
            n_trials=tuning.n_trials,
            method=tuning.method,
            pruner=tuning.pruner,
            goal="minimize" if self.goal == "minimize" else "maximize",
            seed=self.seed,
            max_step=self.max_step,
        )

    def write(self, run: RunPaths) -> None:
        """Keeps it in a run's folder.

        Raises:
            OSError: The folder cannot be written.
        """
        files.replace(run.at(_FILE), json.dumps(asdict(self), indent=1).encode() + b"\n")

    @classmethod
    def read(cls, run: RunPaths) -> Script:
        """What was kept.

        Raises:
            LedgerError: It is missing or damaged.
        """
        try:
            said = json.loads(Path(run.at(_FILE)).read_bytes())
            lists = {key: tuple(said[key]) for key in ("args", "command")}
            return cls(**{**said, **lists})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LedgerError("run.no_launch", where=run.at(_FILE)) from error

    def call(
        self, values: Mapping[str, Json], env: Mapping[str, str], *, json_file: str, program: str
    ) -> list[str]:
        """How one trial is called.

        Args:
            values: What it tries.
            env: Its environment, which has what the arguments leave out.
            json_file: Where its values lie as JSON.
            program: What is run: the script, or what a notebook became.
        """
        args = list(self.args)
        if self.is_notebook:
            return [self.python, program, *reveal(args, env)]
        placed = {
            "env": ["/usr/bin/env"] if sys.platform != "win32" else [],
            "interpreter": [self.python],
            "program": [program, *args],
            "args_json_file": [json_file],
            **arguments(values),
        }
        found: list[str] = []
        for word in self.command:
            name = word[2:-1] if word.startswith("${") and word.endswith("}") else ""
            if name in placed:
                found += placed[name]
            else:
                found.append(_ENVVAR.sub(lambda match: env.get(match[1], match[1]), word))
        # A macro stands alone; `/usr/bin/env python` finds the Python of the PATH, ours is named.
        return reveal(found, env)

    def again(self, values: Mapping[str, Json]) -> list[str]:
        """The command line that runs it with these values, outside the search."""
        shown = os.path.relpath(self.path, self.cwd)
        program = self.path if shown.startswith("..") else shown
        if self.is_notebook:
            sets = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
            return ["overnight", "run", program, *sets, *self.args]
        if tuple(self.command) == COMMAND:
            return ["overnight", "run", program, *self.args, *arguments(values)["args"]]
        called = self.call(values, {}, json_file="values.json", program=program)
        return ["overnight", "run", "--", *called]


def arguments(values: Mapping[str, Json]) -> dict[str, list[str]]:
    """A trial's values in each of the forms that W&B's agent knows.

    Source: https://docs.wandb.ai/models/sweeps/sweep-config-keys, "Command macros".
    """
    equal = [f"{name}={value}" for name, value in values.items()]
    return {
        "args": ["--" + each for each in equal],
        "args_no_hyphens": equal,
        "args_no_equals": [w for name, value in values.items() for w in ("--" + name, str(value))],
        "args_no_boolean_flags": [
            f"--{name}" if value is True else f"--{name}={value}"
            for name, value in values.items()
            if value is not False
        ],
        "args_json": [json.dumps(dict(values))],
        "args_append_hydra": ["+" + each for each in equal],
        "args_override_hydra": ["++" + each for each in equal],
    }
