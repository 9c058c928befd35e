"""What a message says: every event in both languages, in any room, of any facts."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.alerts.compose import Format, digest, render
from overnight.alerts.pieces import EVENTS
from overnight.messages import Language

NOW_US = int(datetime(2026, 3, 4, 22, 0, tzinfo=ZoneInfo("Asia/Seoul")).timestamp() * 1e6)
RUN: dict[str, Any] = {
    "name": "digits", "run": "digits_20260304_1548", "host": "gpu02", "kind": "run",
    "target": "digits.ipynb", "attempt": 0, "now_us": NOW_US,
    "epoch": 17, "epochs": 20, "unit": "epoch", "percent": 85.0,
    "metrics": {"lr": 3e-4, "macro_f1": 0.9066, "valid_loss": 0.2214},
    "metric": "macro_f1", "best": 0.9134, "best_epoch": 15,
    "duration_s": 22320.0, "remaining_s": [11400.0, 13200.0], "at_most": False,
    "log": "/home/mina/logs/digits.log", "resume": "overnight resume digits_20260304_1548",
}  # fmt: skip
OOM = {
    "kind": "cuda_oom",
    "sentence": "cuda_oom",
    "evidence": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
    "fields": {"cell": "5", "cell_line": "3"},
}
CONTROL = ("Cc", "Cs")
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@pytest.fixture(autouse=True)
def in_seoul(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Seoul")
    # What the process speaks is not what the message's reader does.
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def short(event: str, language: Language = "ko", sent_us: int = NOW_US, **facts: Any) -> str:
    text = render(event, {**RUN, **facts}, format="short", language=language, sent_us=sent_us)
    assert text.title == ""
    assert len(text.body) <= 200
    return text.body


def full(event: str, language: Language = "ko", sent_us: int = NOW_US, **facts: Any) -> str:
    text = render(event, {**RUN, **facts}, format="full", language=language, sent_us=sent_us)
    return f"{text.title}\n{text.body}"


@pytest.mark.parametrize(
    ("event", "facts", "korean", "english"),
    [
        (
            "finished",
            {},
            "[완료] digits · 6시간 12분 · macro_f1 0.9134 (최고, 15/20 에폭) · gpu02",
            "[finished] digits · 6 h 12 min · macro_f1 0.9134 (best, epoch 15/20) · gpu02",
        ),
        (
            "crashed",
            {"cause": OOM},
            "[실패] digits · GPU 메모리 부족 · 셀 5, 3번째 줄 · 17/20 에폭"
            " · overnight resume digits_20260304_1548 · gpu02",
            "[failed] digits · GPU out of memory · cell 5, line 3 · epoch 17/20"
            " · overnight resume digits_20260304_1548 · gpu02",
        ),
        (
            "stalled",
            {"silent_s": 1260},
            "[멈춤 의심] digits · 21분 동안 출력도 계산도 없음 · 17/20 에폭 · gpu02",
            "[stalled?] digits · no output and no work for 21 min · epoch 17/20 · gpu02",
        ),
        (
            "heartbeat",
            {},
            "[진행 중] digits · 17/20 에폭 · macro_f1 0.9066 (최고 0.9134)"
            " · 약 3시간 10분 – 3시간 40분 남음 · 내일 01:40쯤 완료 예상 · gpu02",
            "[running] digits · epoch 17/20 · macro_f1 0.9066 (best 0.9134)"
            " · about 3 h 10 min – 3 h 40 min left · done tomorrow around 01:40 · gpu02",
        ),
        (
            "milestone",
            {"percent": 50},
            "[50% 지점] digits · 17/20 에폭 · macro_f1 0.9066 (최고 0.9134)"
            " · 약 3시간 10분 – 3시간 40분 남음 · 내일 01:40쯤 완료 예상 · gpu02",
            "[50%] digits · epoch 17/20 · macro_f1 0.9066 (best 0.9134)"
            " · about 3 h 10 min – 3 h 40 min left · done tomorrow around 01:40 · gpu02",
        ),
        (
            "eta_moved",
            {"old_remaining_s": [5400, 7000]},
            "[예상 변경] digits · 약 1시간 30분 – 2시간 → 약 3시간 10분 – 3시간 40분 남음"
            " · 내일 01:40쯤 완료 예상 · 17/20 에폭 · gpu02",
            "[new estimate] digits · about 1 h 30 min – 2 h → about 3 h 10 min – 3 h 40 min left"
            " · done tomorrow around 01:40 · epoch 17/20 · gpu02",
        ),
        (
            "threshold",
            {"rule": "val_f1 > 0.9", "value": 0.9066},
            "[조건 충족] digits · val_f1 > 0.9 · macro_f1 0.9066 · 17/20 에폭 · gpu02",
            "[rule met] digits · val_f1 > 0.9 · macro_f1 0.9066 · epoch 17/20 · gpu02",
        ),
        (
            "lost",
            {"why": "reboot"},
            "[소식 끊김] digits · 컴퓨터가 다시 시작됨 · 17/20 에폭"
            " · overnight resume digits_20260304_1548 · gpu02",
            "[lost] digits · the machine was restarted · epoch 17/20"
            " · overnight resume digits_20260304_1548 · gpu02",
        ),
        (
            "restarting",
            {"cause": OOM, "in_s": 30, "restarts_left": 2},
            "[재시작] digits · 30초 뒤 다시 시작 · GPU 메모리 부족 · 셀 5, 3번째 줄"
            " · 17/20 에폭 · gpu02",
            "[restarting] digits · again in 30 s · GPU out of memory · cell 5, line 3"
            " · epoch 17/20 · gpu02",
        ),
        (
            "text",
            {"text": "전처리 끝\n학습 시작", "title": "1단계"},
            "[알림] digits · 1단계 · 전처리 끝 학습 시작 · gpu02",
            "[note] digits · 1단계 · 전처리 끝 학습 시작 · gpu02",
        ),
    ],
)
def test_one_line_says_what_matters(
    event: str, facts: dict[str, Any], korean: str, english: str
) -> None:
    assert short(event, "ko", **facts) == korean
    assert short(event, "en", **facts) == english


def test_a_page_tells_a_failure_from_cause_to_command() -> None:
    lines = full("crashed", cause=OOM).split("\n")
    assert lines[0] == "[실패] digits"
    assert lines[1] == "GPU 메모리가 부족합니다. 노트북 셀 5, 3번째 줄에서 발생했습니다."
    assert lines[2].startswith("torch.OutOfMemoryError: CUDA out of memory.")
    assert "배치 크기" in lines[3]
    assert lines[4:] == [
        "진행: 17/20 에폭",
        "최근: macro_f1 0.9066 · valid_loss 0.2214",
        "최고: macro_f1 0.9134 (15/20 에폭)",
        "실행 시간: 6시간 12분",
        "컴퓨터: gpu02",
        "로그: /home/mina/logs/digits.log",
        "이어서 실행: overnight resume digits_20260304_1548",
    ]


@pytest.mark.parametrize("event", EVENTS)
def test_a_page_is_in_one_language(event: str) -> None:
    facts: dict[str, Any] = {
        "cause": OOM, "silent_s": 60, "rule": "loss is nan", "text": "x", "why": "unseen",
    }  # fmt: skip
    english = full(event, "en", **facts)
    assert not any("가" <= char <= "힣" for char in english)
    korean = full(event, "ko", **facts)
    assert any("가" <= char <= "힣" for char in korean)
    assert "{" not in english + korean


def test_a_message_that_comes_late_says_when_it_happened_and_not_what_is_left() -> None:
    late = short("heartbeat", sent_us=NOW_US + 9 * 3600 * 10**6)
    assert "남음" not in late
    assert "01:40쯤" in late
    assert "어제 22:00 기준" in late
    assert "시각: 어제 22:00" in full("finished", sent_us=NOW_US + 9 * 3600 * 10**6)


def test_commands_are_whole_or_not_there() -> None:
    name = "아주긴이름" * 16
    resume = f"overnight resume {name}_20260304_1548"
    for most in range(20, 400, 7):
        text = render(
            "crashed", {**RUN, "name": name, "resume": resume, "cause": OOM},
            format="full" if most > 200 else "short", language="ko", max_chars=most,
            sent_us=NOW_US,
        )  # fmt: skip
        body = text.title + "\n" + text.body
        assert "overnight resume" not in body or resume in body


def test_a_long_traceback_leaves_its_last_lines() -> None:
    lines = [f'  File "train.py", line {at}, in step\n    loss = model(x)' for at in range(2000)]
    traceback = "\n".join([*lines, "ValueError: bad shape"])
    assert len(traceback) > 100_000
    cause = {"kind": "exception", "evidence": traceback, "fields": {"error": "ValueError"}}
    assert "ValueError: bad shape" in short("crashed", cause=cause)
    body = full("crashed", cause=cause)
    assert "ValueError: bad shape\n" in body
    assert "line 1999" in body
    assert len(body) < 3000


def test_no_secret_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "abcdef0123456789")
    secret = "https://hooks.slack.com/services/T000/B000/XXXX"
    cause = {"kind": "exception", "evidence": f"HTTPError: {secret} abcdef0123456789"}
    facts = {"cause": cause, "text": f"see {secret}", "name": "hf_abcdefghijklmnopqrst"}
    for event in EVENTS:
        for form in get_args(Format):
            text = render(
                event, {**RUN, **facts}, format=form, language="en", template="{evidence} {text}"
            )
            whole = text.title + text.body
            assert "XXXX" not in whole
            assert "abcdef0123456789" not in whole
            assert "hf_abc" not in whole


def test_a_cause_of_a_later_version_is_still_a_sentence() -> None:
    cause = {"kind": "cosmic_ray", "sentence": "cosmic_ray_twice", "fields": {"cell": "3"}}
    assert "원인을 알 수 없음" in short("crashed", cause=cause)
    assert "끝난 이유를 알 수 없습니다." in full("crashed", cause=cause)
    assert "[eclipse] digits" in short("eclipse")


def test_a_job_that_did_nothing_is_told_so() -> None:
    cause = {"kind": "no_work", "sentence": "no_work", "fields": {"ran_s": "3"}}
    assert "한 번도 보이지 않음" in short("finished", cause=cause, metrics={}, best=None)
    assert "빈 데이터 폴더" in full("finished", cause=cause)


HOST_OOM = {"kind": "host_oom", "sentence": "host_oom", "evidence": "oom_kill +1", "fields": {}}
UNKNOWN = {"kind": "unknown", "sentence": "unknown_own", "evidence": "", "fields": {}}


def test_what_is_lost_tells_what_is_known_of_it() -> None:
    bare = {"why": "unseen", "resume": "", "log": ""}
    assert "out of memory (RAM)" in short("lost", "en", cause=HOST_OOM, **bare)
    page = full("lost", "en", own=True, cause=HOST_OOM, **bare)
    assert page.index("The process is gone") < page.index("Use less RAM")
    assert "keeper" not in page
    page = full("lost", "en", own=True, cause=UNKNOWN, **bare)
    assert "First suspect memory" in page
    assert "keeper" not in page
    assert "keeper" in full("lost", "en", cause=UNKNOWN, **bare)
    # Of a machine that was restarted nobody asks for the batch size.
    page = full("lost", "en", own=True, cause=UNKNOWN, **{**bare, "why": "reboot"})
    assert "machine was restarted" in page
    assert "memory" not in page


def test_the_latest_end_is_no_guess_and_a_clock_of_utc_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "at most 3 h 40 min left · done by tomorrow 01:40" in short(
        "heartbeat", "en", at_most=True
    )
    assert "최대 3시간 40분 남음 · 늦어도 내일 01:40까지 완료" in short("heartbeat", at_most=True)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert "done by 16:40 (UTC)" in short("heartbeat", "en", at_most=True)
    assert "at 13:00 (UTC)" in short("finished", "en", sent_us=NOW_US + 3600 * 10**6)


def test_the_last_moments_are_no_span() -> None:
    assert "moments left" in short("heartbeat", "en", remaining_s=[1, 2])
    assert "곧 끝남" in short("heartbeat", remaining_s=[1, 2])
    assert "남음" not in short("heartbeat", remaining_s=[1, 2])


def test_a_share_is_told_as_one() -> None:
    facts = {"rule": "gpu_memory > 90%", "metric": "gpu_memory", "value": 0.934, "share": True}
    assert "gpu_memory 93.4%" in short("threshold", "en", **facts)


def test_a_refused_restart_gives_its_reason() -> None:
    assert "같은 실패가 되풀이되어" in full("crashed", cause=OOM, restart_refused="same_failure")


def test_a_fold_has_its_own_best() -> None:
    said = short("finished", fold=2, epoch=50, epochs=60)
    assert "macro_f1 0.9134 (최고, 에폭 15)" in said


def test_a_wording_of_ones_own() -> None:
    template = "{title}: {metric} {value:.3f}, {remaining}, {host}/{gpu}"
    text = render(
        "heartbeat", RUN, format="custom", language="ko", template=template, sent_us=NOW_US
    )
    assert text.body == ("[진행 중] digits: macro_f1 0.907, 약 3시간 10분 – 3시간 40분, gpu02/–")
    broken = render("finished", RUN, format="custom", language="ko", template="{nme}")
    assert broken.body.startswith("[완료] digits")


# ── any room, any facts ─────────────────────────────────────────────────────────────────────

NASTY = [
    "학습👩\u200d👩\u200d👧", "e\u0301" * 40, "🇰🇷" * 30, "\x1b[31mred\x1b[0m", "\u202egnp.exe",
    "{0}", "NaN", "가" * 300,
]  # fmt: skip
WORDS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(NASTY),
    st.text(alphabet="한한\u0301\u200d🏽👩\x1b[2J\r\n\t", max_size=300),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
KEYS = sorted({*RUN, "cause", "rule", "value", "text", "title", "silent_s", "old_remaining_s",
               "why", "gpu", "in_s", "restarts_left", "restart_refused", "fold", "channel", "done",
               "total", "evidence"})  # fmt: skip
KINDS = st.sampled_from(["exception", "signal", "peak", "at_cell", "finished"])
SENTENCES = st.sampled_from(["peak", "at_file", "signal_kill", "nan_loss.fix"])
FIELDS = st.sampled_from(["cell", "file", "line", "peak_gib", "name", "error", "key"])
CAUSES = st.fixed_dictionaries(
    {"kind": st.one_of(KINDS, VALUES)},
    optional={
        "sentence": st.one_of(SENTENCES, VALUES),
        "evidence": VALUES,
        "fields": st.one_of(VALUES, st.dictionaries(FIELDS, VALUES)),
    },
)
FACTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=12)


def assert_harmless(text: str) -> None:
    for char in text:
        assert char == "\n" or unicodedata.category(char) not in CONTROL, repr(char)
        assert char not in BIDI


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.one_of(st.sampled_from(EVENTS), WORDS),
    FACTS,
    st.one_of(st.none(), CAUSES),
    st.sampled_from(get_args(Format)),
    st.sampled_from(["en", "ko"]),
    st.one_of(st.none(), st.integers(-5, 5000)),
)
def test_any_facts_give_a_text_that_fits(
    event: str,
    facts: dict[str, Any],
    cause: dict[str, Any] | None,
    form: Format,
    language: Language,
    max_chars: int | None,
) -> None:
    facts = facts if cause is None else {**facts, "cause": cause}
    text = render(
        event, facts, format=form, language=language, template="{short}\n{evidence} {value:.3f}",
        max_chars=max_chars,
    )  # fmt: skip
    most = max(0, 4000 if max_chars is None else max_chars)
    assert len(text.title) + bool(text.title) + len(text.body) <= max(most, len(text.title) + 1)
    assert len(text.title) <= most
    assert_harmless(text.title + text.body)
    assert "\n" not in text.title
    if form == "short":
        assert "\n" not in text.body
        assert len(text.body) <= 200
    if max_chars is None:
        assert text.title or text.body


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), FACTS), max_size=30),
    st.sampled_from(get_args(Format)),
    st.sampled_from(["en", "ko"]),
    st.one_of(st.none(), st.integers(0, 3000)),
)
def test_any_messages_give_a_digest_that_fits(
    messages: list[tuple[str, dict[str, Any]]],
    form: Format,
    language: Language,
    max_chars: int | None,
) -> None:
    text = digest(messages, format=form, language=language, max_chars=max_chars)
    most = (4000 if form == "full" else 200) if max_chars is None else max_chars
    assert len(text.title) <= most
    assert len(text.title) + bool(text.title) + len(text.body) <= max(most, len(text.title) + 1)
    assert_harmless(text.title + text.body)


# ── digests ─────────────────────────────────────────────────────────────────────────────────


def test_a_digest_counts_and_tells_the_urgent_first() -> None:
    messages: list[tuple[str, dict[str, Any]]] = [
        *[("threshold", {**RUN, "name": f"run{at}", "rule": "loss < 1"}) for at in range(8)],
        ("crashed", {**RUN, "cause": OOM}),
        *[("finished", {**RUN, "name": f"sweep{at}"}) for at in range(3)],
    ]
    text = digest(messages, format="short", language="ko", sent_us=NOW_US)
    lines = text.body.split("\n")
    assert lines[0] == "알림 12개: 실패 1 · 완료 3 · 조건 충족 8"
    assert lines[1].startswith("[실패] digits · GPU 메모리 부족")
    assert lines[-1].startswith("그 밖에 ")
    assert len(text.body) <= 200
    page = digest(messages, format="full", language="en", sent_us=NOW_US)
    assert page.title == "[digest] 12 notifications"
    assert page.body.split("\n")[0] == "12 notifications: failed 1 · finished 3 · rule met 8"
    assert len(page.body.split("\n")) == 13
    # Of one kind the newest come first.
    assert page.body.index("sweep2") < page.body.index("sweep0")


def test_five_hundred_alerts_are_one_page() -> None:
    messages = [("threshold", {**RUN, "rule": f"loss < {at}"}) for at in range(500)]
    text = digest(messages, format="full", language="ko", sent_us=NOW_US)
    assert len(text.title) + 1 + len(text.body) <= 4000
    assert "알림 500개" in text.body
    assert "loss < 499" in text.body
