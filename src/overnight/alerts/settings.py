"""What a person asked to be told of a run, and where it was asked.

Five places, the later ones winning: the user's ``notify.yaml`` for all runs, the project's
``overnight.yaml`` (key ``notify``), a training's config (the same key), the options of ``overnight
run``, and the arguments of ``overnight.watch``. Rules of all places count together. What came of it
lies in the run's ``notify.json``.

One file: what can be asked for, how each value is read and how the places are laid together change
with each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from overnight.alerts.rule import Rule, parse
from overnight.errors import UserError, UserErrors
from overnight.messages import Language, language
from overnight.redact import redact

Format = Literal["short", "full", "custom"]

#: What happens to a run, each on or off.
EVENTS = (
    "started", "finished", "crashed", "stalled", "recovered", "early_stopped", "stopped", "lost",
    "restarting",
)  # fmt: skip
#: What has a key of its own, and is told unless it is switched off.
OTHER_EVENTS = ("milestone", "eta_moved", "heartbeat", "threshold", "text")
DEFAULT_EVENTS = frozenset((*EVENTS, *OTHER_EVENTS)) - {"started"}
FORMATS: tuple[Format, ...] = ("short", "full", "custom")
LANGUAGES: tuple[Language, ...] = ("en", "ko")
SCHEMA = "overnight.notify/1"

MAX_RULES = 50
#: A heartbeat more often is a log; more rarely than a week it is none.
_HEARTBEAT_S = (600.0, 7 * 86400.0)
_ETA = (0.05, 10.0)
#: What the channel store takes as a name.
_CHANNEL = re.compile(r"[^\W_][\w-]{0,31}")
_ADDRESS = re.compile(r"://|^(?:https?|mailtos?):|^xox[a-z]-|\w@\w+\.\w")
_SPAN = re.compile(
    r"(?:every\s+)?(\d{1,6}(?:\.\d{1,3})?)\s*(s|sec|m|min|minutes?|h|hours?|d|days?|분|시간|일)"
    r"(?:\s*마다)?",
    re.IGNORECASE,
)
_SPAN_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "분": 60.0, "시": 3600.0, "일": 86400.0}
_SHARE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})\s*(%)?")
_OFF = ("off", "no", "none", "false", "never")
_SHOWN_CHARS = 40


@dataclass(frozen=True)
class Settings:
    """What is to be told of a run, and where.

    Attributes:
        channels: Names of channels; none: nobody is told.
        formats: Channel → its own format.
        events: What is told; see ``EVENTS`` and ``OTHER_EVENTS``.
        rules: Conditions on numbers.
        heartbeat_s: Seconds between two signs of life; None: none.
        milestones: Shares of the run, each in 0..1, ascending.
        eta_moved: By which share of what is left the end must move; None: never told.
        format: For channels without their own; None: the channel's default.
        template: The wording of the format ``custom``.
        language: Of the messages; whoever sends them knows nothing of the person's locale.
    """

    channels: tuple[str, ...] = ()
    formats: Mapping[str, Format] = field(default_factory=dict)
    events: frozenset[str] = DEFAULT_EVENTS
    rules: tuple[Rule, ...] = ()
    heartbeat_s: float | None = None
    milestones: tuple[float, ...] = (0.5,)
    eta_moved: float | None = 0.3
    format: Format | None = None
    template: str = ""
    language: Language = "en"

    def to_json(self) -> dict[str, Any]:
        """The content of a run's ``notify.json``."""
        return {
            "schema": SCHEMA,
            "channels": list(self.channels),
            "formats": dict(self.formats),
            "events": sorted(self.events),
            "rules": [rule.text for rule in self.rules],
            "heartbeat_s": self.heartbeat_s,
            "milestones": list(self.milestones),
            "eta_moved": self.eta_moved,
            "format": self.format,
            "template": self.template,
            "language": self.language,
        }

    @classmethod
    def from_json(cls, data: object) -> Settings:
        """What ``to_json`` made. What this version does not know, or is damaged, is left out."""
        if not isinstance(data, Mapping):
            return cls()
        found: dict[str, Any] = {}
        channels, formats = data.get("channels"), data.get("formats")
        if isinstance(channels, list):
            found["channels"] = tuple(name for name in channels if isinstance(name, str) and name)
        if isinstance(formats, Mapping):
            found["formats"] = {
                str(name): each for name, each in formats.items() if each in FORMATS
            }
        if isinstance(data.get("events"), list):
            known = (*EVENTS, *OTHER_EVENTS)
            found["events"] = frozenset(name for name in data["events"] if name in known)
        if isinstance(data.get("rules"), list):
            found["rules"] = tuple(_rules_known(data["rules"]))
        if "heartbeat_s" in data:
            found["heartbeat_s"] = _within(data["heartbeat_s"], (1.0, 1e9))
        if isinstance(data.get("milestones"), list):
            marks = (_within(each, (0.0, 1.0)) for each in data["milestones"])
            found["milestones"] = tuple(sorted({mark for mark in marks if mark}))
        if "eta_moved" in data:
            found["eta_moved"] = _within(data["eta_moved"], (0.001, 1e3))
        if data.get("format") in FORMATS:
            found["format"] = data["format"]
        if isinstance(data.get("template"), str):
            found["template"] = data["template"]
        if data.get("language") in LANGUAGES:
            found["language"] = data["language"]
        return cls(**found)


def _rules_known(texts: Iterable[Any]) -> Iterable[Rule]:
    for text in texts:
        if isinstance(text, str):
            try:
                rule = parse(text)
            except UserError:  # a later version's grammar
                continue
            yield rule


def _within(value: object, bounds: tuple[float, float]) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if bounds[0] <= value <= bounds[1] else None


@dataclass
class Given:
    """What one place says; what it does not name is None."""

    channels: Sequence[str] | None = None
    formats: dict[str, Format] = field(default_factory=dict)
    events: dict[str, bool] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    #: 0: switched off.
    heartbeat_s: float | None = None
    milestones: Sequence[float] | None = None
    #: 0: switched off.
    eta_moved: float | None = None
    format: Format | None = None
    template: str | None = None
    language: Language | None = None
    #: Where the format ``custom`` is asked for.
    custom_at: str = ""


def merge(
    places: Iterable[Given],
    problems: list[UserError] | None = None,
    *,
    default_channels: Sequence[str] = (),
) -> Settings:
    """What all places together ask for, the later ones winning; their rules add up.

    Args:
        places: The general ones first.
        problems: What is wrong with the places together is added here.
        default_channels: Told where no place names any.
    """
    events = {name: name in DEFAULT_EVENTS for name in (*EVENTS, *OTHER_EVENTS)}
    formats: dict[str, Format] = {}
    rules: dict[str, Rule] = {}
    chosen: dict[str, Any] = {}
    custom_at = ""
    for place in places:
        events.update(place.events)
        formats.update(place.formats)
        rules.update((rule.text, rule) for rule in place.rules)
        custom_at = place.custom_at or custom_at
        for name in _PLAIN:
            value = getattr(place, name)
            if value is not None:
                chosen[name] = value
    for name in ("heartbeat_s", "eta_moved"):
        if chosen.get(name) == 0:
            chosen[name] = None
    for name in ("channels", "milestones"):
        if name in chosen:
            chosen[name] = tuple(chosen[name])
    chosen.setdefault("channels", tuple(default_channels))
    chosen.setdefault("language", language())
    is_custom = "custom" in (chosen.get("format"), *formats.values())
    if is_custom and not chosen.get("template") and problems is not None:
        problems.append(UserError("rule.template_missing", where=custom_at))
    return Settings(
        formats=formats,
        events=frozenset(name for name, is_on in events.items() if is_on),
        rules=tuple(rules.values())[:MAX_RULES],
        **chosen,
    )


_PLAIN = ("channels", "heartbeat_s", "milestones", "eta_moved", "format", "template", "language")


def settings_of(
    root: str | None,
    options: Given,
    problems: Sequence[UserError] = (),
    *,
    config: Given | None = None,
    default_channels: Sequence[str] = (),
) -> Settings:
    """What is to be told of a run of ``root``: the user's file, the project's, and the options.

    Args:
        root: The run's root; None where the project's file does not count.
        options: What was asked for just now; see ``from_options``.
        problems: What is known to be wrong already, told together with all the rest.
        config: What a training's config says.
        default_channels: Told where no place names any.

    Raises:
        UserErrors: Everything that is wrong in any of the places.
    """
    from overnight.alerts.settings_file import project_file, user_file  # reads YAML

    found = list(problems)
    user = user_file(found)
    project = project_file(root, found) if root is not None else Given()
    places = [user, project, *([config] if config is not None else []), options]
    settings = merge(places, found, default_channels=default_channels)
    if found:
        raise UserErrors(found)
    return settings


def from_options(
    *,
    problems: list[UserError],
    channels: Sequence[str] | None = None,
    rules: Sequence[str] = (),
    heartbeat: str | None = None,
    format: str | None = None,
    events: Sequence[str] | None = None,
    template: str | None = None,
    language: str | None = None,
    spelled: Mapping[str, str] | None = None,
) -> Given:
    """What options or arguments ask for.

    Args:
        problems: What is wrong with them is added here.
        channels: Names, also several with commas between them; ``none`` for nobody.
        rules: Texts.
        heartbeat: ``3h``, ``every 30m``, ``off``.
        format: See ``Settings``.
        events: Those and no others of what happens to a run.
        template: See ``Settings``.
        language: See ``Settings``.
        spelled: What each is called where it was written, for the errors: ``rules`` → ``--alert``.
    """
    spelled = {} if spelled is None else spelled
    reader = Reader(problems)
    given = Given()
    if channels is not None:
        at = spelled.get("channels", "channels")
        words = [word for each in channels for word in each.replace(",", " ").split() or [""]]
        named = [reader.channel(word, at) for word in words if word.lower() != "none"]
        given.channels = list(dict.fromkeys(filter(None, named)))
    for text in rules:
        reader.rule(text, f"{spelled.get('rules', 'alerts')} '{shown(text)}'", given)
    if heartbeat is not None:
        given.heartbeat_s = reader.heartbeat(heartbeat, spelled.get("heartbeat", "heartbeat"))
    if format is not None:
        at = spelled.get("format", "format")
        given.format = reader.format(format, at)
        given.custom_at = at if given.format == "custom" else ""
    if events is not None:
        reader.only(events, spelled.get("events", "events"), given)
    if template is not None:
        given.template = reader.template(template, spelled.get("template", "template"))
    if language is not None:
        given.language = reader.language(language, spelled.get("language", "language"))
    return given


class Reader:
    """Reads values, wherever they were written; what is wrong is collected.

    Args:
        problems: Where to.
    """

    def __init__(self, problems: list[UserError]) -> None:
        self.problems = problems

    def wrong(self, key: str, where: str, **fields: object) -> None:
        """Notes what is wrong."""
        self.problems.append(UserError(key, where=where, **fields))

    def channel(self, text: str, where: str) -> str | None:
        """The name of a channel. A secret that stands in its place is never repeated."""
        name = text.strip().lower()
        if _ADDRESS.search(name):
            self.wrong("rule.url", where)
        elif not _CHANNEL.fullmatch(name):
            self.wrong("rule.channel_form", where, name=shown(text))
        else:
            return name
        return None

    def rule(self, text: str, where: str, given: Given) -> None:
        """A rule; at most so many."""
        if len(given.rules) >= MAX_RULES:
            if not any(each.key == "rule.alerts_many" for each in self.problems):
                self.wrong("rule.alerts_many", where, limit=MAX_RULES)
            return
        try:
            given.rules.append(parse(text, where=where))
        except UserError as error:
            self.problems.append(error)

    def heartbeat(self, text: str, where: str) -> float | None:
        """Seconds; 0 for off."""
        text = text.strip()
        if text.lower() in _OFF:
            return 0.0
        found = _SPAN.fullmatch(text)
        if found is None:
            self.wrong("rule.heartbeat_form", where, value=shown(text))
            return None
        seconds = float(found[1]) * _SPAN_S[found[2][0].lower()]
        if not _HEARTBEAT_S[0] <= seconds <= _HEARTBEAT_S[1]:
            self.wrong("rule.heartbeat_range", where, value=shown(text))
            return None
        return seconds

    def share(self, text: str, where: str) -> float | None:
        """``30%`` or ``0.3``."""
        found = _SHARE.fullmatch(text.strip())
        if found is None:
            self.wrong("rule.share_form", where, value=shown(text))
            return None
        return float(found[1]) / (100 if found[2] else 1)

    def milestone(self, text: str, where: str) -> float | None:
        """A share between 0 and 1."""
        share = self.share(text, where)
        if share is not None and not 0 < share < 1:
            self.wrong("rule.milestone_range", where)
            return None
        return share

    def eta_moved(self, text: str, where: str) -> float | None:
        """A share; 0 for off."""
        if text.strip().lower() in _OFF:
            return 0.0
        share = self.share(text, where)
        if share is not None and not _ETA[0] <= share <= _ETA[1]:
            self.wrong("rule.eta_range", where)
            return None
        return share

    def format(self, text: str, where: str) -> Format | None:
        """One of the formats."""
        for known in FORMATS:
            if text.strip().lower() == known:
                return known
        # An address behind a channel's name: `phone: https://…`.
        key = "rule.url" if _ADDRESS.search(text) else "rule.format_form"
        self.wrong(key, where, value=shown(text))
        return None

    def language(self, text: str, where: str) -> Language | None:
        """One of the languages."""
        for known in LANGUAGES:
            if text.strip().lower() == known:
                return known
        self.wrong("rule.language_form", where, value=shown(text))
        return None

    def template(self, text: str, where: str) -> str | None:
        """A wording of the person's own."""
        from overnight.alerts import template

        try:
            template.check(text, where=where)
        except UserError as error:
            self.problems.append(error)
            return None
        return text

    def event(self, text: str, where: str) -> str | None:
        """The name of an event."""
        known = (*EVENTS, *OTHER_EVENTS)
        name = text.strip().lower().replace("-", "_")
        if name in known:
            return name
        near = get_close_matches(name, known, n=1)
        if near:
            self.wrong("rule.event_near", where, name=shown(text), near=near[0])
        else:
            self.wrong("rule.event_unknown", where, name=shown(text), known=", ".join(EVENTS))
        return None

    def only(self, texts: Sequence[str], where: str, given: Given) -> None:
        """Those events of a run and no others; what has a key of its own stays as it is."""
        named = {self.event(text, where) for text in texts}
        given.events.update((name, name in named) for name in EVENTS)
        given.events.update((name, True) for name in OTHER_EVENTS if name in named)


def shown(text: str) -> str:
    """What somebody wrote, as an error may repeat it: short, and no address."""
    if _ADDRESS.search(text):
        return "…"
    clean = "".join(c if c.isprintable() else " " for c in redact(text)[:_SHOWN_CHARS])
    return clean + ("…" if len(text) > _SHOWN_CHARS else "")
