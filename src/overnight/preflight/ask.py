"""Questions to other programs that may be missing, slow, broken or hung."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
#: A program that was killed and does not go is stuck in the kernel: it is left there.
_DYING_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking.

    Attributes:
        outcome: ``ended`` = by itself, whatever its exit code.
        returncode: As subprocess has it (minus the signal); -1 where it did not end by itself.
        stdout: What it said, undecodable bytes replaced.
        stderr: The same of its other stream.
    """

    outcome: Literal["ended", "missing", "timeout"]
    returncode: int
    stdout: str
    stderr: str

    @property
    def is_good(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.outcome == "ended" and self.returncode == 0


def ask(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Run a program and wait for it, at most ``timeout_s`` and a moment; never raises OSError.

    On a timeout the program and all it started are killed; what it had said until then is kept.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        return Answer("missing", -1, "", error.strerror or str(error))
    except ValueError as error:  # A null byte in the path.
        return Answer("missing", -1, "", str(error))
    outcome: Literal["ended", "timeout"] = "ended"
    try:
        stdout, stderr = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        outcome = "timeout"
        _kill(child)
        try:
            stdout, stderr = child.communicate(timeout=_DYING_S)
        except subprocess.TimeoutExpired as error:
            stdout, stderr = error.stdout or b"", error.stderr or b""
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()
    code = child.returncode if outcome == "ended" else -1
    return Answer(
        outcome, code, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace")
    )


def _kill(child: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        child.kill()
    else:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            child.kill()


class Background(Generic[T]):
    """A question that is being answered while the caller does something else.

    A thread that hangs (a dead network folder) is left behind and does not keep the program from
    ending; a pool of ``concurrent.futures`` would.
    """

    def __init__(self, question: Callable[[], T]) -> None:
        self._question = question
        self._values: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._values.append(self._question())
        except Exception as error:  # Handed to whoever asks for the result.
            self._error = error

    def result(self, timeout_s: float) -> T:
        """The answer.

        Raises:
            TimeoutError: None came within ``timeout_s``.
            Exception: What the question itself raised.
        """
        self._thread.join(timeout_s)
        if self._error is not None:
            raise self._error
        if not self._values:
            raise TimeoutError
        return self._values[0]
