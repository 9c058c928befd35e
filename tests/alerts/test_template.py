"""A person's own wording: what is refused at once, and what the rest gives."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import overnight
from overnight.alerts import template
from overnight.alerts.template import FIELDS, check, fill
from overnight.errors import UserError

VALUES = {
    "name": "digits",
    "metric": "macro_f1",
    "value": 0.91342,
    "epoch": 17,
    "epochs": 20.0,
    "best": float("nan"),
    "duration_s": 22320.0,
}


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{name} {metric}={value:.3f}", "digits macro_f1=0.913"),
        ("{value}", "0.9134"),
        ("{value:.1%}", "91.3%"),
        ("{epoch}/{epochs}", "17/20"),
        ("{epoch:03d}|{epochs:d}", "017|20"),
        ("{epoch:.1f}", "17.0"),
        ("{duration_s:,.0f}", "22,320"),
        ("{name:>8}|{name:*^10}|{name:.3}", "  digits|**digits**|di…"),
        ("{{{name}}}", "{digits}"),
        ("{ name }", "digits"),
        ("{host} {remaining_s:.0f}", "– –"),
        ("{best:.3f} {best:,}", "nan nan"),
        ("에폭 {epoch}", "에폭 17"),
    ],
)
def test_a_template_is_filled_in(text: str, filled: str) -> None:
    check(text)
    assert fill(text, VALUES) == filled


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "alert.template_empty"),
        (" \n", "alert.template_empty"),
        ("x" * 4001, "alert.template_long"),
        ("{name", "alert.template_braces"),
        ("name}", "alert.template_braces"),
        ("{{name}", "alert.template_braces"),
        ("{value:{epoch}}", "alert.template_braces"),
        ("{}", "alert.template_unknown"),
        ("{0}", "alert.template_unknown"),
        ("{zzzzqqq}", "alert.template_unknown"),
        ("{vlaue:.3f}", "alert.template_unknown_near"),
        ("{Name}", "alert.template_unknown_near"),
        ("{name.__class__}", "alert.template_parts"),
        ("{name[0]}", "alert.template_parts"),
        ("{name!r}", "alert.template_parts"),
        ("{name:d}", "alert.template_spec_text"),
        ("{name:+}", "alert.template_spec_text"),
        ("{value:d}", "alert.template_spec_number"),
        ("{value:q}", "alert.template_spec_number"),
        ("{value:1000000000}", "alert.template_spec_number"),
        ("{value:.1000f}", "alert.template_spec_number"),
        ("{epoch:.2d}", "alert.template_spec_count"),
        ("{epoch:s}", "alert.template_spec_count"),
    ],
)
def test_what_would_go_wrong_at_night_is_refused_at_once(text: str, key: str) -> None:
    with pytest.raises(UserError) as error:
        check(text, where="notify.yaml, line 3")
    assert error.value.key == key
    assert error.value.where == "notify.yaml, line 3"
    assert error.value.fix


def test_a_mistake_is_told_with_its_place_and_what_was_meant() -> None:
    with pytest.raises(UserError, match="character 8") as error:
        check("{name} {vlaue}")
    assert "{value}" in error.value.fix


@given(
    st.text(alphabet=st.sampled_from("{}!:.[]()<>^+-, 0123456789dfs%naemvluпт가\n"), max_size=40)
)
def test_any_text_is_filled_in_or_refused(text: str) -> None:
    try:
        check(text)
    except UserError:
        return
    assert isinstance(fill(text, VALUES), str)
    assert isinstance(fill(text, {}), str)


@given(
    st.sampled_from(sorted(FIELDS)),
    st.text(alphabet="<>^+- 0123456789,_.deEfFgG%s*", max_size=8),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
)
def test_any_value_has_a_spelling_in_every_format(name: str, spec: str, value: object) -> None:
    text = "{" + name + ":" + spec + "}"
    try:
        check(text)
    except UserError:
        return
    assert len(fill(text, {name: value})) <= 1400


@given(st.text(alphabet=string.printable, max_size=60))
def test_a_text_without_braces_stays_as_it_is(text: str) -> None:
    plain = text.replace("{", "").replace("}", "")
    assert fill(plain, {}) == plain


def test_every_field_is_documented() -> None:
    document = Path(overnight.__file__).parents[2] / "docs/notifications.md"
    section = document.read_text("utf-8").partition("## Your own wording")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == set(template.FIELDS)
