"""Sentences of ``--until`` and of the plan that follows from it."""

from __future__ import annotations

EN = {
    "until.form": "'{text}' is no moment",
    "until.form.fix": "write a time of day (07:00, 7am, tomorrow 07:00), a moment (2026-11-22T07:00), or a span "
    "from now (8h, 90m)",
    "until.past": "this moment is past: {moment}",
    "until.past.fix": "name one that is ahead: --until 07:00 is the next 07:00, --until 8h is in eight hours",
    "until.far": "this moment is {days} days ahead; at most {most} are planned",
    "until.far.fix": "look at the date; or leave --until out: the run then ends when it is done",
    "until.over": "its time was over at {moment}, before any fold was begun: there is nothing to end with",
    "until.over.fix": "start it again with another --until, or without one",
    "until.short": "{span} are left, which is not enough for one whole fold: what is learnt by then is kept",
}

KO = {
    "until.form": "'{text}': 시각으로 읽을 수 없습니다",
    "until.form.fix": "하루 중의 시각(07:00, 7am, tomorrow 07:00), 날짜와 시각(2026-11-22T07:00), 또는 지금부터의 "
    "길이(8h, 90m)로 적으십시오",
    "until.past": "이미 지난 시각입니다: {moment}",
    "until.past.fix": "앞으로 올 시각을 적으십시오. --until 07:00은 다음에 올 07:00, --until 8h는 8시간 뒤입니다",
    "until.far": "{days}일 뒤의 시각입니다. 최대 {most}일까지 계획할 수 있습니다",
    "until.far.fix": "날짜를 확인하거나, --until을 빼십시오. 그러면 모두 끝날 때까지 실행됩니다",
    "until.over": "마감 시각({moment})이 지났는데 시작된 폴드가 없어서 남길 것이 없습니다",
    "until.over.fix": "--until을 다른 시각으로 정해 새로 시작하거나, --until 없이 시작하십시오",
    "until.short": "남은 시간은 {span}이며 폴드 하나를 온전히 학습하기에 부족합니다. 그때까지 배운 것을 남깁니다",
}
