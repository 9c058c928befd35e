"""What needs no dying process: order, honesty, storage, languages, and any bytes at all."""

from __future__ import annotations

import json
import string
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import overnight.supervisor.log_tail as log_tail
from overnight.messages import cause as sentences
from overnight.supervisor.cause import Cause, CauseKind
from overnight.supervisor.diagnose import Ending, diagnose
from overnight.supervisor.known_errors import KNOWN_ERRORS, KNOWN_LINES
from overnight.supervisor.log_tail import LogTail
from overnight.supervisor.oom import OomKills

_KEY_ERROR = (
    "Traceback (most recent call last):\n"
    '  File "/home/kim/train.py", line 7, in <module>\n'
    "    row['label']\n"
    "KeyError: 'label'\n"
)
_EXTRAS = {"at_cell", "at_file", "peak"}


def _sentences() -> list[str]:
    names = {key.removeprefix("cause.").removesuffix(".fix") for key in sentences.EN}
    return sorted(names - _EXTRAS)


# ── honesty ──────────────────────────────────────────────────────────────────────────────────


def test_nothing_known() -> None:
    cause = diagnose(Ending())
    assert (cause.kind, cause.evidence, cause.failed) == ("unknown", "", True)


def test_unknown_quotes_the_last_line() -> None:
    cause = diagnose(Ending(log_tail="epoch 4 loss 0.31\nsaved ckpt/4.pt\n\n"))
    assert (cause.kind, cause.evidence) == ("unknown", "saved ckpt/4.pt")


def test_code_unknown_but_the_traceback_is_there() -> None:
    """The keeper was killed with the job; the log still ends as an uncaught exception ends it."""
    assert diagnose(Ending(log_tail=_KEY_ERROR)).evidence == "KeyError: 'label'"


def test_code_unknown_and_the_traceback_was_caught() -> None:
    log = _KEY_ERROR + "".join(f"row {n} skipped\n" for n in range(5))
    assert diagnose(Ending(log_tail=log)).kind == "unknown"


def test_code_unknown_and_memory_ran_out() -> None:
    cause = diagnose(Ending(oom_kills=OomKills(job=2, machine=2), max_rss_kib=3 << 20))
    assert (cause.sentence, cause.fields["peak_gib"]) == ("host_oom_probably", "3.0")


@pytest.mark.parametrize(
    ("kills", "sentence"),
    [
        (OomKills(job=1, machine=1), "host_oom"),
        (OomKills(job=None, machine=1), "host_oom_probably"),
        (OomKills(job=0, machine=3), "signal_kill"),
        (OomKills(job=0, machine=0), "signal_kill"),
        (OomKills(job=None, machine=None), "signal_kill_uncounted"),
    ],
)
@pytest.mark.parametrize("end", [{"signal": 9}, {"code": 137}, {"code": -9}])
def test_killed(kills: OomKills, sentence: str, end: dict[str, int]) -> None:
    assert diagnose(Ending(**end, oom_kills=kills)).sentence == sentence  # type: ignore[arg-type]


def test_killed_for_memory_on_this_machine_only_probably() -> None:
    cause = diagnose(Ending(signal=9, oom_kills=OomKills(None, 1)))
    assert "probably" in cause.text


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ({"code": 0}, "finished"),
        ({"code": 0, "steps_seen": True}, "finished"),
        ({"code": 0, "steps_seen": False, "ran_s": 2.4}, "no_work"),
        ({"code": 0, "oom_kills": OomKills(4, 4)}, "finished"),
        ({"code": 0, "log_tail": _KEY_ERROR}, "finished"),
        ({"code": 0, "disk_free_bytes": 0}, "finished"),
        ({"code": 0, "stop_honoured": True}, "finished"),
    ],
)
def test_code_0_is_success_whatever_the_log_says(end: dict[str, object], kind: str) -> None:
    cause = diagnose(Ending(**end))  # type: ignore[arg-type]
    assert cause.kind == kind
    assert not cause.failed


@pytest.mark.parametrize(
    "end",
    [
        {"signal": 9, "oom_kills": OomKills(1, 1)},
        {"code": 1, "log_tail": _KEY_ERROR},
        {"code": 0},
        {},
    ],
)
def test_ones_own_stop_comes_first(end: dict[str, object]) -> None:
    cause = diagnose(Ending(stop_asked=True, **end))  # type: ignore[arg-type]
    assert cause.kind == "stopped"
    assert not cause.failed


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (139, "signal_segv"),
        (143, "signal_term"),
        (0xC0000005, "signal_segv"),
        (0xC000013A, "signal_int"),
        (126, "exit_code_executable"),
        (127, "exit_code_command"),
        (64, "exit_code"),
        (255, "exit_code"),
        (193, "exit_code"),
        (2**63, "exit_code"),
    ],
)
def test_codes(code: int, sentence: str) -> None:
    assert diagnose(Ending(code=code)).sentence == sentence


def test_signal_without_a_name() -> None:
    assert diagnose(Ending(signal=4096)).fields["name"] == "SIG4096"


def test_full_disk_is_no_excuse_for_a_known_cause() -> None:
    assert diagnose(Ending(code=1, log_tail=_KEY_ERROR, disk_free_bytes=0)).kind == "exception"


# ── reading a log ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_newlines(newline: str) -> None:
    cause = diagnose(Ending(code=1, log_tail=_KEY_ERROR.replace("\n", newline)))
    assert cause.evidence == "KeyError: 'label'"
    assert cause.fields["file"] == "train.py"


@pytest.mark.parametrize(
    "prefix", ["[rank0]: ", "[default1]:", "[1,0]<stderr>:", "(RayTrainWorker pid=812) "]
)
def test_prefixes_of_launchers(prefix: str) -> None:
    log = "".join(prefix + line + "\n" for line in _KEY_ERROR.splitlines())
    assert diagnose(Ending(code=1, log_tail=log)).evidence == "KeyError: 'label'"


def test_two_ranks_writing_at_once() -> None:
    lines = _KEY_ERROR.splitlines()
    log = "".join(f"[rank0]: {line}\n[rank1]: {line}\n" for line in lines)
    assert diagnose(Ending(code=1, log_tail=log)).evidence == "KeyError: 'label'"


def test_windows_paths() -> None:
    log = _KEY_ERROR.replace("/home/kim/train.py", r"C:\Users\kim\train.py")
    assert diagnose(Ending(code=1, log_tail=log)).fields["file"] == "train.py"


def test_deepest_line_of_ones_own() -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "/home/kim/train.py", line 7, in <module>\n'
        "    fit()\n"
        '  File "/venv/lib/python3.11/site-packages/torch/nn/modules/module.py", line 9, in _call\n'
        "    return forward(x)\n"
        '  File "<frozen importlib._bootstrap>", line 1, in load\n'
        "ValueError: no\n"
    )
    cause = diagnose(Ending(code=1, log_tail=log))
    assert (cause.fields["file"], cause.fields["line"]) == ("train.py", "7")


def test_ipythons_traceback() -> None:
    """As ``jupyter execute`` and ``nbconvert --execute`` print it."""
    log = (
        "nbclient.exceptions.CellExecutionError: An error occurred while executing a cell\n"
        "-----------------------------------------------------------------------\n"
        "KeyError                                  Traceback (most recent call last)\n"
        "Cell In[3], line 2\n"
        "      1 rows = {}\n"
        "----> 2 rows['label']\n\n"
        "KeyError: 'label'\n"
    )
    assert diagnose(Ending(code=1, log_tail=log)).evidence == "KeyError: 'label'"


def test_colours() -> None:
    log = "\x1b[1;31mKeyError\x1b[0m".join(_KEY_ERROR.split("KeyError"))
    assert diagnose(Ending(code=1, log_tail=log)).evidence == "KeyError: 'label'"


def test_line_of_another_thread_inside_the_traceback() -> None:
    log = _KEY_ERROR.replace("KeyError", "prefetch: 12 files\nKeyError")
    assert diagnose(Ending(code=1, log_tail=log)).evidence == "KeyError: 'label'"


def test_semaphores_lie_in_shared_memory() -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "/home/kim/train.py", line 7, in <module>\n'
        "    loader = iter(loader)\n"
        '  File "/usr/lib/python3.11/multiprocessing/synchronize.py", line 57, in __init__\n'
        "    sl = self._semlock = _multiprocessing.SemLock(\n"
        "OSError: [Errno 28] No space left on device\n"
    )
    assert diagnose(Ending(code=1, log_tail=log)).kind == "shm"


def test_final_failure_of_a_quiet_log() -> None:
    assert LogTail("").final_failure(patience=9) is None


# ── storage, languages, secrets ──────────────────────────────────────────────────────────────


def test_survives_json() -> None:
    cause = diagnose(Ending(code=1, log_tail=_KEY_ERROR))
    assert Cause.from_json(json.loads(json.dumps(cause.to_json()))) == cause


def test_written_by_a_later_version() -> None:
    stored = {"kind": "cuda_oom", "sentence": "cuda_oom_of_tomorrow", "evidence": "", "fields": {}}
    cause = Cause.from_json(stored)
    assert cause.text == Cause.of("cuda_oom").text
    assert Cause.from_json({"kind": "cosmic_ray"}).kind == "unknown"


def test_no_language_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = []
    for language in ("en", "ko"):
        monkeypatch.setenv("OVERNIGHT_LANG", language)
        stored.append(diagnose(Ending(code=1, log_tail=_KEY_ERROR)).to_json())
    assert stored[0] == stored[1]


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("sentence", _sentences())
def test_every_sentence(sentence: str, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text and fix are there, take only fields a cause has, and belong to a kind."""
    monkeypatch.setenv("OVERNIGHT_LANG", language)
    table = sentences.KO if language == "ko" else sentences.EN
    named = {
        name
        for key in (f"cause.{sentence}", f"cause.{sentence}.fix")
        for _, name, _, _ in string.Formatter().parse(table[key])
        if name
    }
    fields = {"code", "name", "module", "package", "assertion", "error", "ran_s", "said"}
    assert named <= fields
    cause = Cause.of(sentence, "", **dict.fromkeys(named, "VALUE"))
    assert cause.text
    assert "{" not in cause.text + cause.fix
    assert bool(cause.fix) == cause.failed or cause.kind in ("no_work", "stopped")


def test_languages_have_the_same_sentences() -> None:
    assert sentences.EN.keys() == sentences.KO.keys()
    for key, english in sentences.EN.items():
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for text in (english, sentences.KO[key])
        ]
        assert fields[0] == fields[1], key


def test_every_kind_and_every_row_has_its_sentence() -> None:
    rows = {row.sentence for row in KNOWN_ERRORS} | {row.sentence for row, _ in KNOWN_LINES}
    assert rows | set(get_args(CauseKind)) <= set(_sentences())


def test_where_and_how_much_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    cause = Cause.of("host_oom", peak_gib="61.2", cell="14", cell_line="3")
    assert cause.text == (
        "The machine's memory ran out and the kernel killed it. It had used up to 61.2 GiB."
        " It happened in notebook cell 14, line 3."
    )


def test_module_name_that_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is suggested to be typed must not be what a log dictates."""
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    log = _KEY_ERROR.replace(
        "KeyError: 'label'", "ModuleNotFoundError: No module named 'x; rm -rf ~'"
    )
    cause = diagnose(Ending(code=1, log_tail=log))
    assert cause.kind == "exception"
    assert "rm -rf" not in cause.fix


def test_secret_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    log = _KEY_ERROR.replace("'label'", "'s3cr3t-value-of-mine'")
    ending = Ending(code=1, log_tail=log)
    assert "s3cr3t" not in diagnose(ending, {"DB_PASSWORD": "s3cr3t-value-of-mine"}).evidence
    monkeypatch.setenv("DB_PASSWORD", "s3cr3t-value-of-mine")
    assert diagnose(ending).evidence == "KeyError: '[DB_PASSWORD]'"


# ── any bytes ────────────────────────────────────────────────────────────────────────────────

_CODES = st.none() | st.integers(-70, 300) | st.integers()
_PIECES = st.sampled_from(
    [
        "Traceback (most recent call last):\n",
        "  + Exception Group Traceback (most recent call last):\n",
        '  |   File "a.py", line 1, in <module>\n',
        "  | ExceptionGroup: two (2 sub-exceptions)\n",
        "KeyError            Traceback (most recent call last)\n",
        '  File "/home/kim/train.py", line 7, in <module>\n',
        '  File "/home/kim/train.py", line 99999999, in f\n',
        "    row['label']\n",
        "KeyError: 'label'\n",
        "RuntimeError: Graph execution error:\n",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n",
        "subprocess.CalledProcessError: Command 'x' returned non-zero exit status 1.\n",
        "Root Cause (first observed failure):\n",
        "  rank      : 0 (local_rank: 0)\n  exitcode  : -9 (pid: 3)\n",
        "During handling of the above exception, another exception occurred:\n",
        "The above exception was the direct cause of the following exception:\n",
        "\n",
        "[rank0]: ",
        "[rank1]: ",
        "╭─ Traceback (most recent call last) ─╮\n",
        "│ /home/kim/train.py:7 in f │\n",
        "terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: x\n",
        "epoch 3 loss nan\n",
        "\r",
        "\x1b[31m",
        "에폭 3/20\n",
    ]
)
_LOGS = (
    st.binary(max_size=400).map(lambda raw: raw.decode("utf-8", "replace"))
    | st.text(max_size=400)
    | st.lists(_PIECES | st.text(max_size=20), max_size=40).map("".join)
)


@settings(max_examples=400, deadline=None)
@given(
    code=_CODES,
    signal=st.none() | st.integers(-5, 80),
    asked=st.booleans(),
    honoured=st.booleans(),
    log=_LOGS,
    kills=st.builds(OomKills, st.none() | st.integers(0, 3), st.none() | st.integers(0, 3)),
    rss=st.none() | st.integers(-1, 1 << 50),
    ran_s=st.floats(),
    script=st.none()
    | st.just("# %% cell 1\nx = 1\n# %% cell 2\nrow['label']\n")
    | st.text(max_size=80),
    steps=st.none() | st.booleans(),
    free=st.none() | st.integers(0, 1 << 40),
)
def test_any_end_has_a_cause(
    code: int | None,
    signal: int | None,
    asked: bool,
    honoured: bool,
    log: str,
    kills: OomKills,
    rss: int | None,
    ran_s: float,
    script: str | None,
    steps: bool | None,
    free: int | None,
) -> None:
    ending = Ending(code, signal, asked, honoured, log, kills, rss, ran_s, script, steps, free)
    cause = diagnose(ending, {})
    assert cause.kind in get_args(CauseKind)
    assert len(cause.evidence) <= 300
    assert cause.evidence.isprintable()
    assert all(len(value) <= 120 and value.isprintable() for value in cause.fields.values())
    assert cause.text
    assert isinstance(cause.fix, str)
    assert Cause.from_json(json.loads(json.dumps(cause.to_json()))) == cause


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["kind", "sentence", "fields", "evidence", "x"]), inner
            )
        ),
    )
)
def test_any_json_gives_a_cause(data: object) -> None:
    cause = Cause.from_json(data)
    assert cause.text
    assert isinstance(cause.fix, str)


@pytest.mark.parametrize(
    "piece",
    [
        "Traceback (most recent call last):\n",
        "  Traceback (most recent call last):\n",
        " + Exception Group Traceback (most recent call last):\n",
        "KeyError   Traceback (most recent call last)\n",
        '  File "a.py", line 1, in <module>\n',
        '  File "a", line 1\n',
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: loss\n',
        "loss " * 12 + "nan?",
        "[rank0]: x\n[rank1]: y\n",
        "\n",
        "\r",
        "a",
        "\x1b[",
        "\x1b]",
        " | ",
        "terminate called after throwing an instance of '",
        "E321 ",
        ": line 1: ",
        "-token ",
        "The above exception was the direct cause of the following exception:\n",
    ],
)
def test_no_log_takes_long(piece: str) -> None:
    """A blow-up would take minutes on 64 KB, and the runner's limit would end it."""
    log = (piece * (log_tail.TAIL_CHARS // len(piece) + 1))[: log_tail.TAIL_CHARS]
    for end in ({"code": 1}, {"signal": 6}, {"code": None}):
        assert diagnose(Ending(**end, log_tail=log)).kind in get_args(CauseKind)  # type: ignore[arg-type]


def test_nothing_but_the_standard_library() -> None:
    """The supervisor holds these modules in memory for the whole run."""
    source = Path(log_tail.__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(source)!r});"
        "import overnight.supervisor.diagnose as d;"
        "d.diagnose(d.Ending(signal=9)).text;"
        "print(*{m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"overnight", "__main__"}
