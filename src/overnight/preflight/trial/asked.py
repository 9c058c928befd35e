"""What a trial is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from overnight.messages import say
from overnight.preflight.check import Json
from overnight.preflight.target.findings import Finding

Range = tuple[float, float]
#: Why the time of the full run is not known: the code of a sentence ``trial.unknown.<code>``.
Unknown = Literal["", "failed", "no_loops", "not_ended", "unsupported"]


@dataclass(frozen=True, slots=True)
class TrialAsked:
    """A job to be tried.

    Attributes:
        kind: What the target is.
        argv: How the job is called. Of a script ``[python, script, arguments …]``; of a notebook
            the same, with an empty script, since it is in ``source``.
        cwd: The folder the job runs in.
        env: The job's environment as the full run would have it.
        name: What the run will be called.
        source: A notebook as a script.
        full_epoch: Leave out no batches: the first and the last epoch are run whole.
        time_limit_s: The trial is stopped after this; what was learned until then is kept.
        keep: Leave the files that the trial made. What was there before is put back in any case.
        may_send: Try it although the job tells other machines something by itself.
    """

    kind: Literal["script", "notebook", "command"]
    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    name: str = "trial"
    source: str = ""
    full_epoch: bool = False
    time_limit_s: float = 600.0
    keep: bool = False
    may_send: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a trial is, for whoever looks on.

    Attributes:
        phase: ``starting``: no loop has been seen; ``reading``: its files are read back.
        elapsed_s: Since it was started.
        loop: The loop it is in; empty where none is known.
        duration_s: The full run's, as far as it can be said by now.
    """

    phase: Literal["starting", "running", "reading"]
    elapsed_s: float
    loop: str = ""
    duration_s: Range | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was other than in the full run.

    Attributes:
        code: Its sentence is ``trial.change.<code>``.
        fields: What the sentence names.
    """

    code: str
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The change as a sentence."""
        return say("trial.change." + self.code, **self.fields)

    def to_json(self) -> dict[str, Json]:
        """The language-free form."""
        return {"code": self.code, **{key: str(value) for key, value in self.fields.items()}}


@dataclass(frozen=True, slots=True)
class Ranges:
    """What the full run will take: lowest and highest; None where it cannot be known.

    Attributes:
        duration_s: From its start to its end.
        ends_at_us: When it would end if it were started now, microseconds since 1970.
        peak_ram_mib: Of all its processes, as ``system.jsonl`` will show it.
        peak_vram_mib: Of its fullest card.
        disk_mib: What it will leave on the disk.
        at_most: Early stopping is on, so the duration may be shorter.
        why_unknown: Why ``duration_s`` is None.
    """

    duration_s: Range | None = None
    ends_at_us: tuple[int, int] | None = None
    peak_ram_mib: Range | None = None
    peak_vram_mib: Range | None = None
    disk_mib: Range | None = None
    at_most: bool = False
    why_unknown: Unknown = ""

    @property
    def why_text(self) -> str:
        """Why the duration is not known, as a sentence; empty where it is."""
        return say("trial.unknown." + self.why_unknown) if self.why_unknown else ""

    def to_json(self) -> dict[str, Json]:
        """The language-free form."""

        def both(values: tuple[float, float] | None) -> Json:
            return None if values is None else list(values)

        return {
            "duration_s": both(self.duration_s),
            "ends_at_us": both(self.ends_at_us),
            "peak_ram_mib": both(self.peak_ram_mib),
            "peak_vram_mib": both(self.peak_vram_mib),
            "disk_mib": both(self.disk_mib),
            "at_most": self.at_most,
            "why_unknown": self.why_unknown or None,
        }


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial has shown.

    Attributes:
        findings: What is well and what is not.
        ranges: Of the full run; None where the trial could not be made at all.
        shortened: What was other than in the full run.
        took_s: How long the trial took.
    """

    findings: Sequence[Finding]
    ranges: Ranges | None
    shortened: Sequence[Change] = ()
    took_s: float = 0.0
