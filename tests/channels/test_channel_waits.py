"""How long to wait: what a server says, and when a day or month begins where quotas are counted."""

from __future__ import annotations

from datetime import datetime

import pytest

from overnight.channels import waits


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20T00:00:00", "2026-11-30T15:00:00"),
        ("2026-12-31T14:59:59", "2026-12-31T15:00:00"),
        ("2026-12-31T15:00:00", "2027-01-31T15:00:00"),
        ("2028-02-10T00:00:00", "2028-02-29T15:00:00"),
    ],
)
def test_a_month_begins_in_japan(now: str, expected: str) -> None:
    at = datetime.fromisoformat(now + "+00:00").timestamp()
    then = datetime.fromisoformat(expected + "+00:00").timestamp()
    assert at + waits.until_next_month_s(at) == then


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20T00:00:00", "2026-11-20T15:00:00"),
        ("2026-11-20T14:59:59", "2026-11-20T15:00:00"),
        ("2026-11-20T15:00:00", "2026-11-21T15:00:00"),
    ],
)
def test_a_day_begins_in_korea(now: str, expected: str) -> None:
    at = datetime.fromisoformat(now + "+00:00").timestamp()
    then = datetime.fromisoformat(expected + "+00:00").timestamp()
    assert at + waits.until_next_day_s(at) == then


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (" 2.5 ", 2.5), ("", None), ("soon", None), ("-1", None), ("9" * 400, None),
     ("Fri, 02 Jan 1998 00:00:00 GMT", 0.0)],
)  # fmt: skip
def test_a_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert waits.retry_after_s(value) == seconds
