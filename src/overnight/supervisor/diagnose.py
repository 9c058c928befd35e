"""Why a job ended: one kind out of a closed list, the line it is concluded from, what to do.

In order: a person's own stop; exit code 0, which is success whatever the log says; the signal,
with the kernel's out-of-memory counters; the exception printed last; a line a program prints
instead of one; the bare code. Where nothing speaks, "unknown" is the answer.

One file, since its parts lead to each other: a launcher's exception to the signal that ended a
rank, a worker's signal to the kernel's counters, an abort to the exception that C++ threw.

Pure: it reads no file and starts nothing, so the supervisor and the next reader (when the
supervisor is dead) conclude the same.
"""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from overnight.supervisor.cause import Cause, CauseKind
from overnight.supervisor.known_errors import (
    KNOWN_ERRORS,
    KNOWN_LINES,
    LASTING,
    OWN_MODULES,
    PACKAGE_OF,
    SIGNAL_WORDS,
    WRAPPERS,
)
from overnight.supervisor.log_tail import Failure, LogTail, trains_on
from overnight.supervisor.oom import OomKills

__all__ = ["Cause", "CauseKind", "Ending", "diagnose"]

# Ordinary lines that may follow a traceback and still leave it the end. Python leaves with code 1
# after an uncaught exception, so any other code makes a traceback the likelier to be caught.
_PATIENCE_CODE_1 = 10
_PATIENCE_NO_CODE = 3
_PATIENCE_OTHER = 0
#: Lines among which a program's own last words are looked for.
_LAST_WORDS = 5
#: torch warns about /dev/shm from the dying worker, before the main process notices.
_SHM_LINE = re.compile(r"Unexpected bus error encountered in worker.{0,80}\(shm\)")
_SHM_WITHIN_LINES = 60
_SHARED_MEMORY = re.compile(r"multiprocessing[/\\](?:synchronize|heap|shared_memory)\.py$")
_LOADING = re.compile(r"torch[/\\]serialization\.py$")
_ASSERTION = re.compile(r".{0,400}Assertion `(.{1,200}?)` failed")
_LABEL_ASSERTION = re.compile(r"n_classes|num_classes|cur_target")
_NAN_CHECK = re.compile(r"isnan|isfinite|isinf|\bnan\b|(\bloss\w*) ?== ?\1\b", re.IGNORECASE)
_KILLED_WORKER = re.compile(r"is killed by signal: ([A-Z][\w ]{2,30}?)\.")
_CHILD_SIGNAL = re.compile(
    r"died with <Signals\.(SIG\w{2,10}):|terminated with signal (SIG\w{2,10})"
    r"|got signal: (\d{1,2})\b"
)
_CHILD_CODE = re.compile(
    r"returned non-zero exit status (\d{1,3})|terminated with exit code (\d{1,3})"
)
_TORCHRUN_RANK = re.compile(r"\s{0,8}rank\s{1,8}: (\d{1,5})\b")
_TORCHRUN_CODE = re.compile(r"\s{0,8}exitcode\s{1,8}: (-?\d{1,5})\b")
#: Lines of torchrun's report below its exception.
_TORCHRUN_LINES = 200
_LIBRARY = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3|^<|^$")
#: What the C library and shells call a fatal signal.
_FATAL_WORDS = {
    "SIGKILL": "Killed",
    "SIGTERM": "Terminated",
    "SIGSEGV": "Segmentation fault",
    "SIGABRT": "Aborted",
    "SIGBUS": "Bus error",
    "SIGILL": "Illegal instruction",
    "SIGFPE": "Floating point exception",
    "SIGXFSZ": "File size limit exceeded",
    "SIGXCPU": "CPU time limit exceeded",
}
#: faulthandler's stacks may follow the line.
_FATAL_WITHIN_LINES = 200
_TOLD = re.compile(r"(?:Fatal Python error: |.{0,300}: line \d{1,6}: +\d{1,8} )(.{1,200})")
_ABORT_LINE = re.compile(
    r"\w{1,40}\(\): (?:invalid|corrupted|unaligned)|double free|corrupted |\*\*\* .{1,60} \*\*\*"
    r"|.{0,300}[Aa]ssert.{1,300} failed|Fatal Python error: "
)
#: A smaller peak (0.1 GiB) is no hint at memory.
_TELLING_PEAK_KIB = 2**20 // 10
#: Less free space than this, and a program that says nothing could probably not write any more.
_DISK_FULL_BYTES = 64 * 1024
# Windows ends a process with an NTSTATUS where others use a signal.
_NTSTATUS = {
    0xC0000005: "SIGSEGV",
    0xC00000FD: "SIGSEGV",
    0xC000001D: "SIGILL",
    0xC0000094: "SIGFPE",
    0xC0000409: "SIGABRT",
    0xC000013A: "SIGINT",
    0xC0000017: "SIGKILL",
}
#: Signals with a text of their own.
_SIGNAL_SENTENCE = {
    "SIGKILL": "signal_kill",
    "SIGSEGV": "signal_segv",
    "SIGABRT": "signal_abrt",
    "SIGBUS": "signal_bus",
    "SIGILL": "signal_ill",
    "SIGTERM": "signal_term",
    "SIGINT": "signal_int",
    "SIGHUP": "signal_hup",
    "SIGXCPU": "signal_xcpu",
}
#: Signals a program may answer by saving and leaving.
_POLITE = frozenset({"SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"})


@dataclass(frozen=True, slots=True)
class Ending:
    """All that is known of an end.

    Attributes:
        code: Exit code; None if a signal ended it, or if nobody is left who knows.
        signal: Number of the signal that ended it, else None.
        stop_asked: A person asked for the stop.
        stop_honoured: The job said that it was leaving because of a signal (StopHonoured).
        log_tail: The last 64 KB this attempt wrote, decoded with ``errors="replace"``. Nothing of
            an earlier attempt: its traceback would be taken for this one's.
        oom_kills: What the kernel killed meanwhile.
        max_rss_kib: The largest resident size of the tree, if known.
        ran_s: How long the attempt ran.
        script: Source of the converted notebook, so that a line maps to its cell.
        steps_seen: Whether any step, epoch or bar was ever seen; None: does not apply.
        disk_free_bytes: Free space where log and run folder lie, right after the end.
    """

    code: int | None = None
    signal: int | None = None
    stop_asked: bool = False
    stop_honoured: bool = False
    log_tail: str = ""
    oom_kills: OomKills = OomKills()
    max_rss_kib: int | None = None
    ran_s: float = 0.0
    script: str | None = None
    steps_seen: bool | None = None
    disk_free_bytes: int | None = None


def diagnose(ending: Ending, env: Mapping[str, str] | None = None) -> Cause:
    """The cause of ``ending``. Never raises; 64 KB of log take some milliseconds.

    Args:
        ending: All that is known.
        env: The job's environment, whose secrets are kept out of the evidence; this process's own
            by default.
    """
    return _Diagnosis(ending).conclude().cleaned(env)


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"SIG{number}"


class _Diagnosis:
    """One end being looked into."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        self.tail = LogTail(ending.log_tail)

    def conclude(self) -> Cause:
        ending = self.ending
        if ending.stop_asked:
            return Cause.of("stopped_saved" if ending.stop_honoured else "stopped")
        name, code = self._signal(), ending.code
        if name == "" and code == 0:
            if ending.steps_seen is False:
                return Cause.of("no_work", ran_s=f"{max(ending.ran_s, 0):.0f}")
            return Cause.of("finished")
        found = self._of_signal(name) if name else self._of_code()
        if found.kind in ("exit_code", "unknown") and self._disk_is_full():
            return Cause.of("disk_full_silent", f"{ending.disk_free_bytes} bytes free")
        return found

    def _signal(self) -> str:
        """Name of the signal that ended it; "" if none did."""
        code, number = self.ending.code, self.ending.signal
        if number is None and code is not None and code < 0:
            number = -code
        if number is None and code is not None:
            if code in _NTSTATUS:
                return _NTSTATUS[code]
            # A shell's way to say that the last command was ended by a signal.
            number = code - 128 if 128 < code <= 128 + 64 else None
            if number is not None and number not in {int(s) for s in signals.Signals}:
                return ""
        return "" if number is None else _signal_name(number)

    def _disk_is_full(self) -> bool:
        free = self.ending.disk_free_bytes
        return free is not None and free < _DISK_FULL_BYTES

    # ── signals ──────────────────────────────────────────────────────────────────────────

    def _of_signal(self, name: str) -> Cause:
        if self.ending.stop_honoured and name in _POLITE:
            return Cause.of("signal_saved", name=name)
        match name:
            case "SIGKILL":
                return self._killed(self._fatal_line(name))
            case "SIGXFSZ":
                return Cause.of("disk_full_limit", self._fatal_line(name))
            case "SIGABRT":
                return self._aborted()
            case "SIGBUS":
                line = self.tail.has_line(
                    _SHM_LINE, before=len(self.tail.lines), within=_SHM_WITHIN_LINES
                )
                if line:
                    return Cause.of("shm", line)
        return self._plain_signal(name, self._fatal_line(name))

    def _killed(self, evidence: str) -> Cause:
        """Something was ended by SIGKILL: by the kernel for want of memory, or by somebody."""
        by_kernel = self._oom()
        if by_kernel:
            return self._with_peak(Cause.of(by_kernel, evidence or self._oom_count()))
        counted = self.ending.oom_kills != OomKills()
        sentence = "signal_kill" if counted else "signal_kill_uncounted"
        return self._with_peak(Cause.of(sentence, evidence, name="SIGKILL"))

    def _oom(self) -> Literal["", "host_oom", "host_oom_probably"]:
        """Whether the out-of-memory killer was at work, and how surely on this job."""
        kills = self.ending.oom_kills
        if kills.job is not None:
            # The job's own counter stands above the machine's, which counts strangers too.
            return "host_oom" if kills.job > 0 else ""
        return "host_oom_probably" if kills.machine else ""

    def _oom_count(self) -> str:
        """The counter that rose, as the kernel names it."""
        kills = self.ending.oom_kills
        if kills.job:
            return f"oom_kill +{kills.job} (cgroup)"
        return f"oom_kill +{kills.machine} (vmstat)"

    def _with_peak(self, cause: Cause) -> Cause:
        peak = self.ending.max_rss_kib
        if peak is None or peak < _TELLING_PEAK_KIB:
            return cause
        return replace(cause, fields={**cause.fields, "peak_gib": f"{peak / 2**20:.1f}"})

    def _plain_signal(self, name: str, evidence: str) -> Cause:
        return Cause.of(_SIGNAL_SENTENCE.get(name, "signal"), evidence, name=name)

    def _aborted(self) -> Cause:
        abort = self.tail.abort()
        if abort is not None:
            text = abort.type + ": " + abort.message
            kind = abort.type.rpartition("::")[2]
            # c10::Error and its like are what Python would show as a RuntimeError.
            for name in (kind, "RuntimeError"):
                found = self._known(name, abort.message, text)
                if found is not None:
                    return found
            return Cause.of("signal_abrt", text, name="SIGABRT")
        return self._plain_signal("SIGABRT", self._fatal_line("SIGABRT"))

    def _fatal_line(self, name: str) -> str:
        """The line the C library, Python or a shell prints about this signal."""
        word = _FATAL_WORDS.get(name, name)
        for line in reversed(self.tail.lines[-_FATAL_WITHIN_LINES:]):
            told = _TOLD.match(line)
            if told and told[1].startswith(word):
                return line.strip()
            if name == "SIGABRT" and _ABORT_LINE.match(line):
                return line.strip()
        bare = next(iter(self.tail.last_lines(1)), "")
        return bare if bare.startswith(word) else ""

    # ── codes ────────────────────────────────────────────────────────────────────────────

    def _of_code(self) -> Cause:
        code = self.ending.code
        if code is None:
            patience = _PATIENCE_NO_CODE
        else:
            patience = _PATIENCE_CODE_1 if code == 1 else _PATIENCE_OTHER
        failure = self.tail.final_failure(patience=patience)
        if failure is not None:
            return self._of_failure(failure)
        if code is None:
            by_kernel = self._oom()
            if by_kernel:
                # The keeper is gone too; nobody else could have told.
                return self._with_peak(Cause.of("host_oom_probably", self._oom_count()))
            return Cause.of("unknown", self._last_line())
        found = self._of_last_words(code)
        if found is not None:
            return found
        fallback = {126: "exit_code_executable", 127: "exit_code_command"}.get(code, "exit_code")
        return Cause.of(fallback, self._last_line(), code=str(code))

    def _of_last_words(self, code: int, before: int | None = None) -> Cause | None:
        for line in self.tail.last_lines(_LAST_WORDS, before=before):
            if trains_on(line):
                break
            for row, codes in KNOWN_LINES:
                found = row.pattern.match(line) if not codes or code in codes else None
                if found:
                    return self._completed(row.sentence, line, found.groupdict(), code=str(code))
        return None

    def _last_line(self) -> str:
        lines = self.tail.last_lines(1)
        if lines:
            return lines[0]
        return next((line.strip() for line in reversed(self.tail.lines) if line.strip()), "")

    # ── exceptions ───────────────────────────────────────────────────────────────────────

    def _of_failure(self, failure: Failure, depth: int = 0) -> Cause:
        # A launcher inside a launcher inside a launcher is the most anybody was seen to nest.
        found = self._of_wrapper(failure, depth) if failure.name in WRAPPERS and depth < 3 else None
        if found is None:
            found = self._of_exception(failure)
        if found.kind == "nccl":
            found = self._other_rank(failure) or found
        if "cell" in found.fields or "file" in found.fields:
            return found
        return replace(found, fields={**found.fields, **self._location(failure)})

    def _of_exception(self, failure: Failure) -> Cause:
        """From the exception itself, else from one it came from."""
        own = self._of_one(failure)
        if own.kind != "exception":
            return own
        later = failure
        while later.previous is not None:
            root = self._of_one(later.previous)
            # "raise … from e" says itself what the reason is. In a second failure inside
            # ``except`` the last one decides, unless the first would have felled anything.
            if root.kind != "exception" and (later.link == "cause" or root.kind in LASTING):
                return root
            later = later.previous
        for name, message in failure.members:
            member = self._known(name.rpartition(".")[2], message, f"{name}: {message}")
            if member is not None and member.kind != "exception":
                return member
        if failure.members:
            name, message = failure.members[0]
            return replace(own, evidence=f"{failure.text}: {name}: {message}")
        return own

    def _of_one(self, failure: Failure) -> Cause:
        found = self._known(failure.name, failure.message, failure.text)
        if found is None and failure.message.endswith(":"):
            # A message that only introduces the lines below it.
            for line in failure.details:
                found = found or self._known(failure.name, line.strip(), line.strip())
        if found is None and failure.name == "KeyboardInterrupt":
            return self._plain_signal("SIGINT", failure.text)
        if found is None:
            found = self._of_dead_helper(failure)
        if found is None and failure.name == "AssertionError":
            code = failure.frames[-1].code if failure.frames else ""
            if _NAN_CHECK.search(code):
                return Cause.of("nan_loss", failure.text + " · " + code)
        if found is None and any(
            _LOADING.search(frame.file) and frame.name == "load" for frame in failure.frames
        ):
            # A file cut short makes torch.load fail in a dozen ways (IndexError, EINVAL).
            return Cause.of("exception_checkpoint", failure.text, error=failure.type)
        if found is None:
            return Cause.of("exception", failure.text, error=failure.type)
        if found.sentence == "exception_worker":
            return self._of_worker(failure, found)
        if found.sentence == "disk_full" and _in_shared_memory(failure):
            return Cause.of("shm", failure.text)
        return found

    def _known(self, name: str, message: str, evidence: str) -> Cause | None:
        for row in KNOWN_ERRORS:
            if row.types and name not in row.types:
                continue
            found = row.pattern.match(message)
            if found:
                return self._completed(row.sentence, evidence, found.groupdict(), error=name)
        return None

    def _completed(
        self, sentence: str, evidence: str, named: Mapping[str, str | None], **more: str
    ) -> Cause:
        """A cause with what its sentences need beyond the words found."""
        fields = {**more, **{key: value for key, value in named.items() if value}}
        if sentence == "missing_module":
            top = fields["module"].partition(".")[0]
            if top in OWN_MODULES:
                sentence = "missing_module_own"
            fields["package"] = PACKAGE_OF.get(top, top)
        if sentence == "device_assert":
            line = self.tail.has_line(_ASSERTION, before=len(self.tail.lines), within=2_000)
            told = _ASSERTION.match(line)
            if told:
                fields["assertion"] = told[1]
                if _LABEL_ASSERTION.search(told[1]):
                    sentence = "device_assert_labels"
        cause = Cause.of(sentence, evidence, **fields)
        return self._with_peak(cause) if cause.kind == "host_oom" else cause

    def _of_worker(self, failure: Failure, found: Cause) -> Cause:
        """A data loader's or pool's worker died; how, the main process often cannot say."""
        line = self.tail.has_line(_SHM_LINE, before=failure.first, within=_SHM_WITHIN_LINES)
        chain: Failure | None = failure
        while chain is not None and not line:
            line = self.tail.has_line(_SHM_LINE, before=chain.first, within=_SHM_WITHIN_LINES)
            chain = chain.previous
        if line:
            return Cause.of("shm", line)
        if self._oom():
            return self._killed(failure.text)
        word = _KILLED_WORKER.search(failure.message)
        if word and word[1] in SIGNAL_WORDS:
            return self._of_child_signal(SIGNAL_WORDS[word[1]], failure.text)
        return found

    def _of_dead_helper(self, failure: Failure) -> Cause | None:
        """A connection to a process that is gone, while the kernel killed for want of memory."""
        gone = ("EOFError", "BrokenPipeError", "ConnectionResetError", "ConnectionRefusedError")
        if self._oom() and failure.name in gone:
            return self._killed(failure.text)
        named = _CHILD_SIGNAL.search(failure.message)
        if named is None:
            return None
        return self._of_child_signal(
            named[1] or named[2] or _signal_name(int(named[3])), failure.text
        )

    def _of_child_signal(self, name: str, evidence: str) -> Cause:
        """A process the job had started was ended by a signal, and the job died of that."""
        if name == "SIGKILL":
            return self._killed(evidence)
        if name == "SIGABRT" and self.tail.abort() is not None:
            return self._aborted()
        return self._plain_signal(name, self._fatal_line(name) or evidence)

    def _of_wrapper(self, failure: Failure, depth: int) -> Cause | None:
        """What the program died of that ``failure`` only reports."""
        stream, code = None, 1
        if _CHILD_SIGNAL.search(failure.message):
            return self._of_dead_helper(failure)
        told = _CHILD_CODE.search(failure.message)
        if told:
            code = int(told[1] or told[2])
        elif failure.name == "ChildFailedError":
            rank, code = self._torchrun_root(failure)
            stream = (
                f"[rank{rank}]:"
                if any(earlier.stream == f"[rank{rank}]:" for earlier in self.tail.failures)
                else None
            )
        if code < 0 or 128 < code <= 128 + 64:
            return self._of_child_signal(
                _signal_name(-code if code < 0 else code - 128), failure.text
            )
        first = failure
        while first.previous is not None:
            first = first.previous
        inner = self.tail.final_failure(
            patience=_PATIENCE_CODE_1, before=first.first, stream=stream
        )
        if inner is not None:
            return self._of_failure(inner, depth + 1)
        return self._of_last_words(code, before=first.first)

    def _torchrun_root(self, failure: Failure) -> tuple[int, int]:
        """(rank, exit code) of the process torchrun saw fail first."""
        rank, code = 0, 1
        lines = self.tail.lines[failure.last : failure.last + _TORCHRUN_LINES]
        start = next((k for k, line in enumerate(lines) if line.startswith("Root Cause")), 0)
        for line in lines[start:]:
            if found := _TORCHRUN_RANK.match(line):
                rank = int(found[1])
            elif found := _TORCHRUN_CODE.match(line):
                code = int(found[1])
                break
        return rank, code

    def _other_rank(self, failure: Failure) -> Cause | None:
        """A rank that lost its peer is a consequence: what did the peer die of?"""
        for stream in dict.fromkeys(other.stream for other in self.tail.failures):
            if stream in ("", failure.stream):
                continue
            other = self.tail.final_failure(patience=_PATIENCE_CODE_1, stream=stream)
            if other is None:
                continue
            found = self._of_exception(other)
            if found.kind != "nccl":
                return replace(found, fields={**found.fields, **self._location(other)})
        return None

    # ── where ────────────────────────────────────────────────────────────────────────────

    def _location(self, failure: Failure) -> dict[str, str]:
        """The notebook's cell, or the line of the person's own code, the exception came from."""
        place = _cell(failure, self.ending.script)
        if place is not None:
            return {"cell": str(place[0]), "cell_line": str(place[1])}
        for frame in reversed(failure.frames):
            if not _LIBRARY.search(frame.file):
                name = re.split(r"[/\\]", frame.file)[-1]
                return {"file": name, "line": str(frame.line)}
        return {}


def _in_shared_memory(failure: Failure) -> bool:
    """Whether the space that lacks is /dev/shm's: semaphores and arenas name no path."""
    return any(_SHARED_MEMORY.search(frame.file) for frame in failure.frames[-2:])


def _cell(failure: Failure, script: str | None) -> tuple[int, int] | None:
    """(cell, line) of the deepest frame that shows a line of the converted notebook."""
    if script is None:
        return None
    # Here, not above: most jobs are no notebooks, and the supervisor stays small.
    try:
        from overnight.notebook import cell_of_line
    except ImportError:
        # The package is being replaced under a run that began before: the line must do.
        return None

    source = script.split("\n")
    for frame in reversed(failure.frames):
        if (
            0 < frame.line <= len(source)
            and frame.code
            and source[frame.line - 1].strip() == frame.code
        ):
            return cell_of_line(script, frame.line)
    return None
