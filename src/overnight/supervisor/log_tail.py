"""The end of a log, read by its shape: which exception was printed last, and is it the end?

A word in a log says nothing; where it stands says much. An uncaught exception is the last thing a
program prints: frames, then one line ``Type: message``, then at most the remarks libraries make
while the interpreter closes. A traceback that more training follows was caught.

Understood: Python's own form, also with its head cut off, chained, in exception groups, in a
worker's "Original Traceback", behind a rank's prefix (``[rank0]:``), in Rich's box and IPython's
layout; and the two lines of a C++ abort. Patterns and look-ahead are bounded, so that 64 KB of
anything take milliseconds.

One file, since the forms share their lines: frames, exception line and what may follow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Context = Literal["main", "thread", "process", "ignored"]
#: How an exception came from the one printed before it: ``raise … from e``, or a second failure
#: inside ``except``.
Link = Literal["none", "cause", "handling"]

#: No more than this is ever read, whatever the caller hands over.
TAIL_CHARS = 65_536
#: A longer line is a bar or a dump; what tells a cause stands at its beginning.
_LINE_CHARS = 4_000
#: Lines of a message after its first (NCCL's "Last error:" is the fourth).
_DETAIL_LINES = 12
#: Lines of other threads that may stand between the frames and the exception's own line.
_FOREIGN_LINES = 5
#: Lines of an exception group that are read for its members.
_GROUP_LINES = 400
#: A traceback whose head was cut off begins within these first lines of the tail.
_CUT_LINES = 5

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|.)|\x08"
)
_NEWLINE = re.compile(r"\r\n|\n|\r")
# torch.distributed, torchrun --tee, mpirun --tag-output, Ray.
_PREFIX = re.compile(
    r"(\[(?:rank|default)\d{1,5}\]:|\[\d{1,5},\d{1,5}\]<std(?:err|out)>:"
    r"|\(\w{1,80} pid=\d{1,10}[^)]{0,60}\)) ?"
)
_HEAD = "Traceback (most recent call last)"
_AFTER_HEAD = re.compile(r":?[\s─╮]*")
_FRAME = re.compile(r'\s{0,12}File "([^"]{1,1000})", line (\d{1,7})(?:, in (.{1,200}))?$')
_RICH_FRAME = re.compile(r"[│┃]\s{0,4}(\S{1,500}):(\d{1,7}) in (\S{1,200})")
_IPYTHON_HEAD = re.compile(r"([^\W\d][\w.]{0,200})\s{2,}$")
_EXCEPTION = re.compile(r"([^\W\d][\w.<>]{0,200})(?::(?: (.*))?)?$")
_ERROR_NAME = re.compile(
    r"(?:Error|Exception|Interrupt|Exit|Warning|Failure|Timeout|Group|Iteration)$"
)
_SYNTAX = ("SyntaxError", "IndentationError", "TabError")
_CAUSE = "The above exception was the direct cause of the following exception:"
_HANDLING = "During handling of the above exception, another exception occurred:"
_GROUP_MARGIN = re.compile(r"\s{0,40}[|+] ?")
_ABORT = re.compile(r"terminate called after throwing an instance of '([^']{1,200})'")
_WHAT = re.compile(r"\s{0,8}what\(\):\s{0,4}(.{0,2000})")
_TOP_NAMES = frozenset({"<module>", "_run_module_as_main", "_run_code", "spawn_main"})

# What may still be printed once a program is dying: never a sign that it went on.
_CLOSING = re.compile(
    r"""\s*$ | \s | [=\-*_+|#"']{3} | [╭╰│┃]
    | wandb: | Exception\ ignored | Set\ the\ environment\ variable\ HYDRA_FULL_ERROR
    | .{0,200}resource_tracker | .{0,200}\d%\|
    | CUDA\ kernel\ errors\ might | For\ debugging\ consider\ passing | Compile\ with\ `TORCH_USE
    | Search\ for\ `cuda | Device-side\ assertion | .{0,300}Assertion\ `.{1,300}\ failed\.
    | \[?[WEIFC]\ ?\d{3,4}\  | \[[WEI]\  | srun:\  | slurmstepd: | make(?:\[\d+\])?:\ \*\*\*
    | terminate\ called | what\(\) | Exception\ raised\ from | frame\ \#\d
    | Fatal\ Python\ error | (?:Current\ thread|Thread)\ 0x | Extension\ modules: | Stack\ \(most
    | \S{1,300}:\ line\ \d{1,6}:\s+\d{1,8}\ [A-Z]
    | (?:Killed|Aborted|Terminated|Segmentation\ fault|Bus\ error)(?:\ \(core\ dumped\))?\s*$
    | (?:Failures:|Root\ Cause\ \(|\[\d{1,4}\]:|.{1,200}\ FAILED)\s*(?:$|first)
    | (?:The\ above\ exception|During\ handling\ of|If\ you\ suspect\ this|--\ Process\ \d)""",
    re.VERBOSE,
)
# A dead program does not train on: this after a traceback means that it was caught.
_TRAINS_ON = re.compile(
    # Our own trainer's last line may name the step it gave up at.
    r"(?!\[ERROR\] ).{0,120}?"
    r"(?:\b(?:epoch|step|iter|iteration|batch|loss|acc|accuracy)\b|에폭|에포크)\W{0,4}\d",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a traceback: where it stood, and the source line if it was printed."""

    file: str
    line: int
    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as a log shows it. ``first`` and ``last`` are line numbers of the tail."""

    type: str
    message: str
    details: tuple[str, ...]
    frames: tuple[Frame, ...]
    stream: str
    first: int
    last: int
    context: Context = "main"
    link: Link = "none"
    previous: Failure | None = None
    #: (type, message) of each member of an exception group.
    members: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The type without its module."""
        return self.type.rpartition(".")[2]

    @property
    def reaches_top(self) -> bool:
        """Whether nothing above the frames shown could have caught it."""
        return self.name in _SYNTAX or any(frame.name in _TOP_NAMES for frame in self.frames)

    @property
    def text(self) -> str:
        """The line as Python prints it."""
        return self.type + ": " + self.message if self.message else self.type


@dataclass(frozen=True, slots=True)
class Abort:
    """A C++ exception nobody caught, as the C++ runtime prints it."""

    type: str
    message: str


class LogTail:
    """The last lines of a log and the failures printed in them."""

    def __init__(self, text: str) -> None:
        clean = _ANSI.sub("", text[-TAIL_CHARS:])
        self._streams: list[str] = []
        self.lines: list[str] = []
        for raw in _NEWLINE.split(clean):
            line = raw[:_LINE_CHARS]
            prefix = _PREFIX.match(line)
            self._streams.append(prefix[1] if prefix else "")
            self.lines.append(line[prefix.end() :] if prefix else line)
        self.failures = self._read_failures()
        self._in_failure = bytearray(len(self.lines))
        for failure in self.failures:
            for number in range(failure.first, failure.last + 1):
                self._in_failure[number] = 1

    def final_failure(
        self, *, patience: int, before: int | None = None, stream: str | None = None
    ) -> Failure | None:
        """The last failure that nothing but closing remarks follows.

        Args:
            patience: Ordinary lines that may follow a traceback that reached the top of the
                program (messages of many lines, ``atexit`` prints); others may have a third.
            before: Look only at what was printed before this line.
            stream: Look only at this rank's lines.
        """
        end = len(self.lines) if before is None else before
        fallback = None
        for failure in reversed(self.failures):
            if failure.last >= end or failure.context == "ignored":
                continue
            if stream is not None and failure.stream != stream:
                continue
            allowed = patience if failure.reaches_top else patience // 3
            if not self._is_followed(failure, end, allowed):
                if failure.context == "main":
                    return failure
                fallback = fallback or failure
        return fallback

    def abort(self) -> Abort | None:
        """The last C++ exception that ended a process through ``std::terminate``."""
        for number in range(len(self.lines) - 1, -1, -1):
            found = _ABORT.search(self.lines[number])
            if found is None:
                continue
            for line in self.lines[number + 1 : number + 12]:
                what = _WHAT.match(line)
                if what:
                    return Abort(found[1], what[1].strip())
            return Abort(found[1], "")
        return None

    def last_lines(self, count: int, *, before: int | None = None) -> list[str]:
        """The last ``count`` lines that say something, newest first.

        Bars, rules and the lines of tracebacks are left out.
        """
        found: list[str] = []
        end = len(self.lines) if before is None else before
        for number in range(end - 1, -1, -1):
            line = self.lines[number].strip()
            if self._in_failure[number]:
                continue
            if line and (_says_death(line) or not _CLOSING.match(line)):
                found.append(line)
                if len(found) == count:
                    break
        return found

    def has_line(self, pattern: re.Pattern[str], *, before: int, within: int) -> str:
        """The newest line among the ``within`` lines up to ``before`` that ``pattern`` matches."""
        for line in reversed(self.lines[max(0, before - within) : before]):
            if pattern.search(line):
                return line.strip()
        return ""

    def _is_followed(self, failure: Failure, end: int, allowed: int) -> bool:
        """Whether the program went on after ``failure``."""
        others = 0
        for number in range(failure.last + 1, end):
            if self._in_failure[number] or self._streams[number] not in ("", failure.stream):
                continue
            line = self.lines[number]
            if _CLOSING.match(line):
                continue
            others += 1
            if others > allowed or _TRAINS_ON.match(line):
                return True
        return False

    def _read_failures(self) -> list[Failure]:
        failures: list[Failure] = []
        for stream in dict.fromkeys(self._streams):
            numbers = [n for n, of in enumerate(self._streams) if of == stream]
            failures.extend(_chained(_failures(self.lines, numbers, stream), self.lines, numbers))
        return sorted(failures, key=lambda failure: failure.last)


def trains_on(line: str) -> bool:
    """Whether only a program that goes on training prints such a line."""
    return _TRAINS_ON.match(line) is not None


def _says_death(line: str) -> bool:
    return line.startswith(
        ("Fatal Python error", "Killed", "Aborted", "Segmentation", "Bus error")
    ) or (": line " in line)


def _failures(lines: Sequence[str], numbers: Sequence[int], stream: str) -> Iterator[Failure]:
    """Every traceback of one stream, oldest first."""
    at = 0
    while at < len(numbers):
        line = lines[numbers[at]]
        tried = True
        place = line.find(_HEAD)
        if place >= 0 and _AFTER_HEAD.fullmatch(line, place + len(_HEAD)):
            before = line[:place]
            ipython = _IPYTHON_HEAD.match(before)
            if ipython and not line.rstrip().endswith(":"):
                found = _read_ipython(lines, numbers, at, ipython[1], stream)
            elif before.endswith("Exception Group "):
                end = _group_end(lines, numbers, at)
                found = _read_group(lines, numbers, at, end, stream)
                at = at if found is not None else end - 1
            else:
                found = _read_plain(lines, numbers, at, at + 1, stream)
            if found is not None:
                found = replace(found, context=_context(lines, numbers, at))
        elif line.startswith('  File "') and _FRAME.match(line):
            found = _read_plain(lines, numbers, at, at, stream)
            if found is not None and not (
                found.name in _SYNTAX
                or (at < _CUT_LINES and _ERROR_NAME.search(found.name) is not None)
            ):
                found = None
        else:
            found, tried = None, False
        if found is None:
            at += 1
            # Frames that lead nowhere once lead nowhere from their second line either.
            while tried and at < len(numbers) and _leads_nowhere(lines[numbers[at]]):
                at += 1
            continue
        yield found
        while at < len(numbers) and numbers[at] <= found.last:
            at += 1


def _leads_nowhere(line: str) -> bool:
    return _is_body(line) and _HEAD not in line


def _context(lines: Sequence[str], numbers: Sequence[int], at: int) -> Context:
    """Whose traceback it is, from the lines right above its head."""
    above = [lines[numbers[k]].strip() for k in range(max(0, at - 2), at)]
    if any(
        text.startswith(("Exception ignored", "--- Logging error ---", "Task exception was never"))
        for text in above
    ):
        return "ignored"
    if above and above[-1].startswith("Exception in thread "):
        return "thread"
    if above and re.match(r"Process \S{1,100}:$", above[-1]):
        return "process"
    return "main"


def _is_body(line: str) -> bool:
    return line[:1] in (" ", "\t", "│", "┃", "╭", "╰", "❱")


def _frames(lines: Iterable[str]) -> tuple[Frame, ...]:
    found: list[Frame] = []
    for line in lines:
        frame = _FRAME.match(line) or _RICH_FRAME.match(line)
        if frame:
            found.append(Frame(frame[1], int(frame[2]), (frame[3] or "").strip(), ""))
        elif found and not found[-1].code and line.strip():
            found[-1] = replace(found[-1], code=line.strip())
    return tuple(found)


def _read_plain(
    lines: Sequence[str], numbers: Sequence[int], start: int, at: int, stream: str
) -> Failure | None:
    """The traceback whose frames begin at ``at``; None if it never reaches an exception."""
    end = at
    while end < len(numbers) and _is_body(lines[numbers[end]]):
        if lines[numbers[end]].endswith(_HEAD + ":"):
            break
        end += 1
    if end == at:
        return None
    for k in range(end, min(end + _FOREIGN_LINES, len(numbers))):
        line = lines[numbers[k]]
        found = _EXCEPTION.match(line)
        if found is None or not _looks_like_type(found[1], sure=k == end):
            continue
        return Failure(
            type=found[1],
            message=(found[2] or "").strip(),
            details=_details(lines, numbers, k + 1),
            frames=_frames(lines[n] for n in numbers[at:end]),
            stream=stream,
            first=numbers[start],
            last=numbers[k],
        )
    return None


def _looks_like_type(name: str, *, sure: bool) -> bool:
    last = name.rpartition(".")[2]
    if _ERROR_NAME.search(last):
        return True
    return sure and ("." in name.strip(".") or last[:1].isupper())


def _details(lines: Sequence[str], numbers: Sequence[int], at: int) -> tuple[str, ...]:
    """The lines of a message after its first, as far as they can be told from what follows."""
    found: list[str] = []
    for k in range(at, min(at + _DETAIL_LINES, len(numbers))):
        line = lines[numbers[k]]
        if _HEAD in line or line.startswith((_CAUSE, _HANDLING)):
            break
        found.append(line)
    return tuple(found)


def _group_end(lines: Sequence[str], numbers: Sequence[int], at: int) -> int:
    end = at + 1
    last = min(len(numbers), at + _GROUP_LINES)
    while end < last and _GROUP_MARGIN.match(lines[numbers[end]]):
        end += 1
    return end


def _read_group(
    lines: Sequence[str], numbers: Sequence[int], at: int, end: int, stream: str
) -> Failure | None:
    """An exception group: its own line, and the exceptions it holds."""
    inside = [_GROUP_MARGIN.sub("", lines[n], count=1) for n in numbers[at + 1 : end]]
    named = [
        (k, found)
        for k, line in enumerate(inside)
        if (found := _EXCEPTION.match(line)) and _looks_like_type(found[1], sure=False)
    ]
    if not named:
        return None
    head, title = named[0]
    return Failure(
        type=title[1],
        message=(title[2] or "").strip(),
        details=(),
        frames=_frames(inside[:head]),
        stream=stream,
        first=numbers[at],
        last=numbers[end - 1],
        members=tuple((found[1], (found[2] or "").strip()) for _, found in named[1:]),
    )


def _read_ipython(
    lines: Sequence[str], numbers: Sequence[int], at: int, name: str, stream: str
) -> Failure | None:
    """IPython names the exception in the head and prints its line after the last frame."""
    for k in range(at + 1, min(at + 400, len(numbers))):
        line = lines[numbers[k]]
        if _HEAD in line:
            break
        found = _EXCEPTION.match(line)
        if found and found[1].rpartition(".")[2] == name.rpartition(".")[2]:
            return Failure(
                type=found[1],
                message=(found[2] or "").strip(),
                details=_details(lines, numbers, k + 1),
                frames=(Frame("", 0, "<module>", ""),),
                stream=stream,
                first=numbers[at],
                last=numbers[k],
            )
    return None


def _chained(
    failures: Iterable[Failure], lines: Sequence[str], numbers: Sequence[int]
) -> list[Failure]:
    """``failures`` with each tied to the one that Python says it came from."""
    place = {number: k for k, number in enumerate(numbers)}
    done: list[Failure] = []
    for failure in failures:
        link: Link = "none"
        if done:
            between = numbers[place[done[-1].last] + 1 : place[failure.first]]
            for number in between[-4:]:
                if lines[number].startswith(_CAUSE):
                    link = "cause"
                elif lines[number].startswith(_HANDLING):
                    link = "handling"
        done.append(replace(failure, link=link, previous=done[-1]) if link != "none" else failure)
    return done
