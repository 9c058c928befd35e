"""What is wrong with the person's channels: findings for ``overnight doctor``."""

from __future__ import annotations

import os
import time

from overnight.agent import lane
from overnight.channels import Retry, store
from overnight.errors import UserError
from overnight.outbox.folder import agent_paths
from overnight.preflight.check import Check

_NAME = "channels"


def examine_channels() -> list[Check]:
    """One finding per channel that has a fault, or one that all are well.

    A KakaoTalk login is renewed by this where it is due: it dies of two idle months.
    """
    try:
        known = store.load(os.environ)
    except UserError as error:
        return [_fault("bad", "unreadable", "", error.what, error.fix)]
    if not known:
        return [Check(_NAME, "ok", "none")]
    paths = agent_paths()
    now_us = time.time_ns() // 1000
    found: list[Check] = []
    for name, named in known.items():
        faults = _faults_of(name, named.url)
        state = lane.read(paths, name)
        if state is not None and state.trouble is not None:
            fault = _fault("bad", "trouble", name, state.trouble.why, state.trouble.fix)
            faults = faults or [fault]
        elif state is not None and lane.describe(state, now_us):
            sentence = lane.describe(state, now_us)[0]
            faults = faults or [_fault("warn", "waits", name, sentence, "")]
        found += faults
    if not found:
        names = ", ".join(known)
        found.append(Check(_NAME, "ok", "well", {"names": list(known)}, {"names": names}))
    return found


def _faults_of(name: str, url: str) -> list[Check]:
    from overnight.channels import open_channel
    from overnight.channels.kakao import Kakao

    try:
        channel = open_channel(name, url)
        if isinstance(channel, Kakao):
            channel.check()
            from overnight.channels.kakao_token import problem

            found = problem(name)
            return (
                [] if found is None else [_fault(found.level, "login", name, found.text, found.fix)]
            )
    except Retry as error:
        return [_fault("warn", "unreachable", name, error.why, "")]
    except UserError as error:
        return [_fault("bad", "unusable", name, error.what, error.fix)]
    return []


def _fault(level: str, code: str, name: str, why: str, fix: str) -> Check:
    fields: dict[str, object] = {"name": name or "channels.json", "why": why, "fix": fix}
    facts = {"channel": name, "why": why}
    return Check(_NAME, "bad" if level == "bad" else "warn", code, facts, fields)
