"""What a person asked to be told: the files, the options, what wins, and every mistake at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.alerts.rule import parse
from overnight.alerts.settings import DEFAULT_EVENTS, Given, Settings, from_options, settings_of
from overnight.errors import UserError, UserErrors


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config folder and a root of the test's own; English."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    (tmp_path / "root").mkdir()
    return tmp_path


def user(places: Path, text: str) -> None:
    folder = places / "config" / "overnight"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "notify.yaml").write_text(text, encoding="utf-8")


def project(places: Path, text: str) -> None:
    (places / "root" / "overnight.yaml").write_text(text, encoding="utf-8")


def asked(places: Path, **options: Any) -> Settings:
    problems: list[UserError] = []
    given = from_options(problems=problems, **options)
    return settings_of(str(places / "root"), given, problems)


def mistakes(places: Path, **options: Any) -> list[tuple[str, str]]:
    """Key and place of each, the place without the folder."""
    with pytest.raises(UserErrors) as caught:
        asked(places, **options)
    return [(e.key, e.where.rpartition("/")[2]) for e in caught.value.errors]


def test_nobody_asked(places: Path) -> None:
    assert asked(places) == Settings()
    assert "started" not in Settings().events
    assert {"finished", "crashed", "stalled", "lost"} <= Settings().events


def test_everything_that_can_be_asked(places: Path) -> None:
    project(
        places,
        """
        something_else: {a: [1, 2]}
        notify:
          channels: [phone, Mail: full]
          alerts:
            - val_f1 > 0.9
            - loss is nan
          events: {started: on, stalled: off}
          heartbeat: every 3h
          milestones: [75%, 25%, 0.5]
          eta_moved: 50%
          format: custom
          template: "{name} {event}"
          language: ko
        """,
    )
    assert asked(places) == Settings(
        channels=("phone", "mail"),
        formats={"mail": "full"},
        events=DEFAULT_EVENTS - {"stalled"} | {"started"},
        rules=(parse("val_f1 > 0.9"), parse("loss is nan")),
        heartbeat_s=10800,
        milestones=(0.25, 0.5, 0.75),
        eta_moved=0.5,
        format="custom",
        template="{name} {event}",
        language="ko",
    )


def test_other_ways_of_saying_it(places: Path) -> None:
    project(
        places,
        """
        notify:
          channels: {phone: short, mail:}
          alerts: loss is nan
          events: [finished, crashed]
          heartbeat: 90m
          milestones: off
          eta_moved: off
        """,
    )
    found = asked(places)
    assert found.channels == ("phone", "mail")
    assert found.formats == {"phone": "short"}
    assert found.rules == (parse("loss is nan"),)
    own = {"milestone", "eta_moved", "heartbeat", "threshold", "text"}
    assert found.events == {"finished", "crashed"} | own
    assert (found.heartbeat_s, found.milestones, found.eta_moved) == (5400, (), None)


def test_the_nearer_place_wins_and_rules_add_up(places: Path) -> None:
    user(
        places,
        "channels: [mail]\nalerts: [loss is nan, gpu_temp > 85]\nheartbeat: 6h\nformat: full\n"
        "events: {started: on, stopped: off}\n",
    )
    project(places, "notify:\n  channels: [team]\n  alerts: [val_f1 > 0.9]\n  heartbeat: off\n")
    found = asked(places)
    assert found.channels == ("team",)
    assert [r.text for r in found.rules] == ["loss is nan", "gpu_temp > 85", "val_f1 > 0.9"]
    assert found.heartbeat_s is None
    assert found.format == "full"
    found = asked(
        places, channels=["phone,desk"], rules=["loss is nan", "acc > 90%"], format="short"
    )
    assert found.channels == ("phone", "desk")
    assert [r.text for r in found.rules][-1] == "acc > 90%"
    assert len(found.rules) == 4
    assert found.format == "short"
    assert "started" in found.events
    assert "stopped" not in found.events
    assert asked(places, channels=["none"]).channels == ()


def test_the_language_is_the_persons(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    assert asked(places).language == "ko"
    user(places, "language: en\n")
    assert asked(places).language == "en"


def test_every_mistake_of_every_place_is_told_at_once(places: Path) -> None:
    user(places, "chanels: [phone]\nheartbeat: often\n")
    project(
        places,
        "notify:\n"
        "  channels: [phone, https://hooks.slack.com/services/T0/B0/abcdef]\n"
        "  alerts:\n"
        "    - val_f1 >> 0.9\n"
        "    - {loss: nan}\n"
        "  events: {finishd: on, crashed: maybe}\n"
        "  milestones: [50%, 150%]\n"
        "  format: shrt\n"
        "  format: full\n"
        "  language: fr\n"
        "  colour: blue\n",
    )
    assert mistakes(places, channels=["mailto://me:pw@x.org"], rules=["loss is"]) == [
        ("rule.url", "channels"),
        ("rule.special_expected", "alerts 'loss is'"),
        ("rule.key_near", "notify.yaml, line 1: chanels"),
        ("rule.heartbeat_form", "notify.yaml, line 2: heartbeat"),
        ("rule.url", "overnight.yaml, line 2: notify.channels"),
        ("rule.number_expected", "overnight.yaml, line 4: notify.alerts"),
        ("rule.alerts_shape", "overnight.yaml, line 5: notify.alerts"),
        ("rule.event_near", "overnight.yaml, line 6: notify.events"),
        ("rule.switch", "overnight.yaml, line 6: notify.events.crashed"),
        ("rule.milestone_range", "overnight.yaml, line 7: notify.milestones"),
        ("rule.format_form", "overnight.yaml, line 8: notify.format"),
        ("yaml.key_twice", "overnight.yaml, line 9: notify.format"),
        ("rule.language_form", "overnight.yaml, line 10: notify.language"),
        ("rule.key_unknown", "overnight.yaml, line 11: notify.colour"),
    ]


SECRETS = [
    "https://hooks.slack.com/services/T000/B000/verysecret",
    "kakao://0123456789abcdef/verysecret",
    "xoxb-123-verysecret",
    "tgram://1:verysecret/2",
    "me:verysecret@naver.com",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_an_address_is_refused_and_not_repeated(places: Path, secret: str) -> None:
    project(places, f"notify:\n  channels:\n    - '{secret}'\n    - {{phone: '{secret}'}}\n")
    with pytest.raises(UserErrors) as caught:
        asked(places, channels=[secret])
    keys = [error.key for error in caught.value.errors]
    assert keys == ["rule.url"] * 3
    assert "verysecret" not in " ".join(f"{e.what} {e.where} {e.fix}" for e in caught.value.errors)


DAMAGED = {
    "notify:\n\tchannels: [a]\n": "yaml.tab",
    "notify: [a\n": "yaml.broken",
    "notify: {a: 'b}\n": "yaml.broken",
    "notify:\n  channels: a\n---\nnotify: b\n": "yaml.documents",
    "notify: &a [*a]\n": "yaml.anchor",
    "x: &a [1, 2]\nnotify: {channels: *a}\n": "yaml.anchor",
    "notify: phone\n": "rule.file_shape",
    "notify: [phone]\n": "rule.file_shape",
    "notify:\n  channels: {a: {b: c}}\n": "rule.format_form",
    "notify:\n  heartbeat: [3h]\n": "rule.heartbeat_form",
    "notify:\n  heartbeat: 5s\n": "rule.heartbeat_range",
    "notify:\n  heartbeat: 30\n": "rule.heartbeat_form",
    "notify:\n  eta_moved: 0.1%\n": "rule.eta_range",
    "notify:\n  milestones: {a: b}\n": "rule.milestones_shape",
    "notify:\n  milestones: half\n": "rule.share_form",
    "notify:\n  template: '{nam}'\n": "alert.template_unknown",
    "notify:\n  template: 5\n": "rule.template_shape",
    "notify:\n  format: custom\n": "rule.template_missing",
    "notify:\n  channels: [a b]\n": "rule.channel_form",
    "notify:\n  channels: [on]\n": "rule.channels_shape",
    "notify:\n  events: [finished, finished_well]\n": "rule.event_near",
    "notify:\n  events: [on]\n": "rule.events_shape",
    "notify:\n  alerts: [" + "loss is nan, " * 60 + "]\n": "rule.alerts_many",
    "notify:\n  ? [a]\n  : b\n": "rule.key_unknown",
    "notify:\nnotify:\n": "yaml.key_twice",
    "notify:\n  rules: [loss is nan]\n": "rule.key_near",
    "notfy:\n  channels: [a]\n": "rule.key_near",
    "notify:\n  channels: \x07\n": "yaml.broken",
    "[" * 5000: "yaml.deep",
    "# " + "x" * 70_000: "yaml.large",
}


@pytest.mark.parametrize("text", DAMAGED, ids=DAMAGED.values())
def test_a_damaged_file_is_a_clear_error(places: Path, text: str) -> None:
    project(places, text)
    with pytest.raises(UserErrors) as caught:
        asked(places)
    found = caught.value.errors
    assert found[0].key.startswith(DAMAGED[text].replace("alert.template_unknown", "alert."))
    assert "overnight.yaml" in found[0].where


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "notify:\n", "just a word\n", "model: {a: 1}\n"]
)
def test_a_file_may_say_nothing(places: Path, text: str) -> None:
    project(places, text)
    user(places, "" if text == "just a word\n" else text.replace("model", "# model"))
    if "notify" in text:
        user(places, "")
    assert asked(places) == Settings()


def test_a_file_that_is_no_text(places: Path) -> None:
    (places / "root" / "overnight.yaml").write_bytes(b"notify:\n  alerts: [\xff\xfe]\n")
    assert mistakes(places) == [("yaml.not_text", "overnight.yaml")]


def test_a_folder_of_that_name(places: Path) -> None:
    (places / "root" / "overnight.yaml").mkdir()
    assert mistakes(places) == [("yaml.unreadable", "overnight.yaml")]


def test_options_are_read_like_the_files(places: Path) -> None:
    found = asked(places, heartbeat="3h", events=["crashed"], template="{name}", format="custom")
    assert found.heartbeat_s == 10800
    assert "finished" not in found.events
    spelled = {"rules": "--alert", "heartbeat": "--heartbeat", "format": "--format"}
    assert mistakes(
        places, rules=["x"], heartbeat="1s", format="long", language="de", spelled=spelled
    ) == [
        ("rule.operator_missing", "--alert 'x'"),
        ("rule.heartbeat_range", "--heartbeat"),
        ("rule.format_form", "--format"),
        ("rule.language_form", "language"),
    ]


def test_settings_survive_the_runs_folder(places: Path) -> None:
    project(
        places,
        "notify:\n  channels: {phone: short}\n  alerts: [disk_free < 5 GiB]\n  heartbeat: 3h\n"
        "  eta_moved: off\n  milestones: []\n  events: [finished]\n  language: ko\n",
    )
    found = asked(places)
    assert Settings.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_later_versions_settings_are_read_as_far_as_they_are_known() -> None:
    data = Settings(channels=("phone",), rules=(parse("loss is nan"),)).to_json()
    data["colour"] = "blue"
    data["events"] = ["finished", "born"]
    data["rules"] = ["loss is nan", "loss smells odd", 5]
    data["format"] = "long"
    found = Settings.from_json(data)
    assert found.channels == ("phone",)
    assert found.events == {"finished"}
    assert found.rules == (parse("loss is nan"),)
    assert found.format is None
    assert Settings.from_json(None) == Settings()
    assert Settings.from_json({}) == Settings()


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(Settings().to_json())), junk) | junk)
def test_any_json_gives_settings(data: Any) -> None:
    found = Settings.from_json(data)
    assert Settings.from_json(json.loads(json.dumps(found.to_json()))) == found


pieces = st.sampled_from([
    "notify:", "channels", "alerts", ": ", "\n", "\n  ", "- ", "[", "]", "{", "}", "'", '"', "|",
    "&a", "*a", "!!python/object:os.system", "!x", "%YAML", "---", "#", "\t", "0x", "1:30", "on",
    "val_f1 > 0.9", ">", "phone", "?", "<<: *a", "\\", "é", "한",
])  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces | st.text(max_size=6), max_size=25).map("".join))
def test_any_file_gives_settings_or_clear_errors(places: Path, text: str) -> None:
    (places / "root" / "overnight.yaml").write_bytes(
        ("notify:\n  " + text).encode("utf-8", "surrogatepass")
    )
    try:
        found = settings_of(str(places / "root"), Given())
    except UserErrors as error:
        found = Settings()
        problems = error.errors
    else:
        problems = ()
    assert isinstance(found, Settings)
    assert all(each.what and each.where and each.fix for each in problems)
