"""A cause: one kind out of a closed list, the line it is concluded from, and how to say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from overnight.messages import say
from overnight.redact import redact

CauseKind = Literal[
    "finished",  # exit code 0
    "no_work",  # exit code 0, and no step or epoch was ever seen: not a failure, but worth a look
    "stopped",  # a person asked for it
    "host_oom",  # the machine's memory: killed by the kernel, or an allocation refused
    "cuda_oom",  # an accelerator's memory (CUDA, ROCm, MPS, XLA)
    "device_assert",  # an assertion inside a GPU kernel
    "gpu",  # any other trouble with the GPU, its driver or the build of the library
    "nccl",  # processes training together lost each other (NCCL, Gloo, the rendezvous)
    "shm",  # /dev/shm too small for the data loader's workers
    "disk_full",  # no space, a quota, a limit on file sizes
    "nan_loss",  # a number became NaN or infinite, and the program gave up over it
    "missing_module",  # a Python module or a shared library is not installed
    "signal",  # ended by a signal for no reason above
    "exception",  # an exception nobody caught, for no reason above
    "exit_code",  # a code other than 0, and no exception to explain it
    "unknown",  # not even the code is known, and the log does not end in an exception
]

_NOTHING: Mapping[str, str] = MappingProxyType({})
_EVIDENCE_CHARS = 300
_FIELD_CHARS = 120
#: What is longer is cut before it is searched for secrets: nothing behind it could be shown.
_REDACTED_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Cause:
    """Why it ended. ``sentence`` is ``kind`` or a variant of it that says more to a person."""

    kind: CauseKind
    evidence: str = ""
    fields: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    sentence: str = ""

    @property
    def failed(self) -> bool:
        """Whether this end is a failure."""
        return self.kind not in ("finished", "no_work", "stopped")

    @property
    def text(self) -> str:
        """What happened, in the reader's language."""
        text = self._say("")
        if "peak_gib" in self.fields:
            text += say("cause.peak", peak_gib=self.fields["peak_gib"])
        if "cell" in self.fields:
            text += self._say_key("at_cell")
        elif "file" in self.fields:
            text += self._say_key("at_file")
        return text

    @property
    def fix(self) -> str:
        """What to do about it, in the reader's language; "" where nothing is to be done."""
        return self._say(".fix")

    def to_json(self) -> dict[str, object]:
        """The cause as it stands in the ledger; it holds no sentence of any language."""
        return {
            "kind": self.kind,
            "sentence": self.sentence or self.kind,
            "evidence": self.evidence,
            "fields": dict(self.fields),
        }

    @classmethod
    def from_json(cls, data: object) -> Cause:
        """What ``to_json`` made. What a later version may have written falls back to its kind."""
        if not isinstance(data, Mapping):
            return cls("unknown")
        kind, sentence = data.get("kind"), data.get("sentence")
        fields, evidence = data.get("fields"), data.get("evidence")
        return cls(
            next((known for known in get_args(CauseKind) if known == kind), "unknown"),
            safe(evidence, _EVIDENCE_CHARS) if isinstance(evidence, str) else "",
            {
                key: safe(value, _FIELD_CHARS)
                for key, value in fields.items()
                if isinstance(key, str) and isinstance(value, str)
            }
            if isinstance(fields, Mapping)
            else {},
            sentence if isinstance(sentence, str) else "",
        )

    @classmethod
    def of(cls, sentence: str, evidence: str = "", **fields: str) -> Cause:
        """The cause that ``sentence`` of the catalogue tells."""
        return cls(_kind_of(sentence), evidence, fields, sentence)

    def cleaned(self, env: Mapping[str, str] | None) -> Cause:
        """Fit to be stored and shown: no secret of ``env``, one line, of bounded length."""
        return Cause(
            self.kind,
            safe(self.evidence, _EVIDENCE_CHARS, env),
            {key: safe(value, _FIELD_CHARS, env) for key, value in self.fields.items() if value},
            self.sentence or self.kind,
        )

    def _say(self, ending: str) -> str:
        for name in (self.sentence, self.kind):
            try:
                return self._say_key(name + ending)
            except KeyError:
                # A sentence of a later version; its kind says nearly as much.
                continue
        return say("cause.unknown" + ending)

    def _say_key(self, name: str) -> str:
        return say(
            "cause." + name,
            **{key: value for key, value in self.fields.items() if key.isidentifier()},
        )


def safe(text: str, limit: int, env: Mapping[str, str] | None = None) -> str:
    """``text`` without secrets and control characters, on one line, cut to ``limit``."""
    # Redacted before it is cut: half a secret looks like none.
    clean = redact(text[:_REDACTED_CHARS], env)
    clean = " ".join("".join(c if c.isprintable() else " " for c in clean).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _kind_of(sentence: str) -> CauseKind:
    for kind in get_args(CauseKind):
        if sentence == kind or sentence.startswith(kind + "_"):
            found: CauseKind = kind
            return found
    raise AssertionError(sentence)
