"""Every service Apprise knows, by its URL: the general channel.

What Apprise leaves open is closed here. Texts are cut before they reach it, never split by it; it
tries once, since whoever sends tries again; a picture goes after the text and can never cost it;
its timeouts are ours; and since a plug-in of its answers True or False, what the servers said is
read off ``requests`` (answers.py). Its log, which may print a bad token whole, goes nowhere but
into our error, without the secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import apprise
import apprise.manager_plugins
import requests
from apprise.attachment.file import AttachFile

from overnight import plugins
from overnight.channels import answers
from overnight.channels.attach import attach
from overnight.channels.base import Limits, Refused, Retry
from overnight.channels.fit import cut, folded, length, line, plain
from overnight.channels.services import SERVICES
from overnight.channels.url import hide, scheme_of, service_of
from overnight.errors import UserError
from overnight.ledger.paths import state_dir
from overnight.messages import say

#: A service that has not answered by then is tried again later; nobody waits for us.
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 30.0
_GAP_OF_RECEIVERS_S = 1.0
#: A text shorter than this is a short message's.
_SHORT_BELOW_CHARS = 500
#: Longer texts are not read; a traceback of 100 KB would be one.
_MAX_CHARS = 8000
#: What Apprise puts between a title and its text.
_LINE_END = "\r\n"


def _for_discord(text: str) -> str:
    """Discord reads Markdown, and calls everybody where a traceback holds ``@everyone``."""
    return re.sub(r"([\\*_~`|])", r"\\\1", text).replace("@", "@\u200b")


def _for_teams(text: str) -> str:
    """A card's text begins a new line only after an empty one."""
    return re.sub("\n+", "\n\n", text)


def _line_key(key: str) -> answers.Stamp:
    """LINE takes a message with the same retry key once, for a day."""

    def stamp(request: requests.PreparedRequest) -> None:
        receiver = json.loads(request.body or b"{}").get("to", "")
        request.headers["X-Line-Retry-Key"] = str(uuid5(NAMESPACE_URL, f"{key} {receiver}"))

    return stamp


#: What a service would read as a command in plain text, taken for text.
_DIALECTS = {"discord": _for_discord, "teams": _for_teams}


class AppriseChannel:
    """A channel of Apprise's.

    Raises:
        UserError: Apprise does not know the service, or the URL is not complete.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.service = service_of(url)
        self._url = url
        self.plugin = self._open()
        known = SERVICES.get(self.service)
        self.limits = self._limits() if known is None else known.limits
        # Whoever sends keeps the gap between messages; a plug-in would sleep it off. Only of
        # several receivers it has to take care itself.
        most_s = 0.0 if len(self.plugin) == 1 else _GAP_OF_RECEIVERS_S
        self.plugin.request_rate_per_sec = min(self.plugin.request_rate_per_sec, most_s)

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name!r}, {self.service})"

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """As ``Channel.send``. Returns None: nothing here can be edited."""
        title, body = self._fitted(line(title), plain(text))
        self._deliver(body or say("channel.empty_text"), title=title, key=key)
        if self.limits.attaches:
            attach(self.name, files, lambda file: self._deliver("", attach=_attachment(file)))
        return None

    def _fitted(self, title: str, text: str) -> tuple[str, str]:
        """Title and text in the service's own writing, within what it takes."""
        write = _DIALECTS.get(self.service, str)
        num_chars = self.limits.num_chars or _MAX_CHARS
        takes, room_for_title = int(self.plugin.body_maxlen), int(self.plugin.title_maxlen)
        if room_for_title <= 0 or not title:
            return "", cut(write(folded(title, text, num_chars)), takes)
        title = cut(title, num_chars // 2)
        body = cut(text, num_chars - length(title) - 1)
        title = cut(write(title), room_for_title)
        # Services count title and text together where they show them together.
        return title, cut(write(body), takes - length(title) - len(_LINE_END))

    def _deliver(self, body: str, *, title: str = "", key: str = "", attach: Any = None) -> None:
        stamp = _line_key(key) if key and self.service == "line" else None
        with answers.watched(stamp) as exchanges, answers.quiet() as said:
            try:
                delivered = self.plugin.notify(
                    body=body, title=title, attach=attach, body_format=apprise.NotifyFormat.TEXT
                )
            except Exception as error:  # a plug-in of Apprise's may raise anything
                delivered = False
                said.append(f"{type(error).__name__}: {error}")
        if stamp is not None:  # 409: it has taken this message before, and we did not hear of it
            accepted = [each.status in (200, 409) for each in exchanges]
            delivered = delivered or (bool(accepted) and all(accepted))
            # What it has taken before says nothing of why another receiver is not told.
            exchanges = [each for each in exchanges if each.status != 409]
        elif exchanges and exchanges[-1].means_no:
            delivered = False  # plug-ins look at the status, and some services answer 200 to all
        if not delivered:
            raise self._failure(exchanges, said) from None

    def _failure(self, exchanges: list[answers.Exchange], said: list[str]) -> Retry | Refused:
        meant = [answers.judge(exchange, name=self.name, hide=self._hide) for exchange in exchanges]
        refused = [each for each in meant if isinstance(each, Refused)]
        later = [each for each in meant if isinstance(each, Retry)]
        # With several receivers, one that refuses for good would have the others told for a day.
        if refused:
            return refused[0]
        if later:
            return later[0]
        detail = self._hide(line(said[-1])) if said else ""
        return Retry(say("channel.why_unknown", detail=cut(detail, 200)).strip())

    def _hide(self, text: str) -> str:
        return hide(text, self._url)

    def _open(self) -> Any:
        asset = apprise.AppriseAsset(
            app_id="Overnight",
            app_desc="Overnight",
            # No pictures from Apprise's pages: a phone would fetch them for each message.
            image_url_mask="",
            image_url_logo="",
            secure_logging=True,
            pgp_autogen=False,
            **_storage(),
        )
        with answers.quiet() as said:
            try:
                plugin = apprise.Apprise.instantiate(
                    self._url, asset=asset, suppress_exceptions=False
                )
            except Exception as error:  # a plug-in of Apprise's may raise anything
                plugin = None
                said.append(str(error))
        if plugin is None or not hasattr(plugin, "notify"):
            raise self._bad_url(said)
        if not plugin.enabled:
            raise UserError("channel.service_disabled", where=self.name, service=self.service)
        if not len(plugin):
            raise UserError("channel.no_receiver", where=self.name, service=self.service)
        if "cto=" not in self._url:
            plugin.socket_connect_timeout = _CONNECT_TIMEOUT_S
        if "rto=" not in self._url:
            plugin.socket_read_timeout = _READ_TIMEOUT_S
        return plugin

    def _bad_url(self, said: list[str]) -> UserError:
        scheme = scheme_of(self._url)
        if scheme in ("http", "https"):
            return UserError("channel.web_address", where=self.name)
        schemas = _schemas()
        if scheme not in schemas:
            near = plugins.nearest(scheme, schemas)
            if near is not None:
                return UserError("channel.scheme_misspelt", where=self.name, near=near)
            return UserError("channel.scheme_unknown", where=self.name)
        last = line(said[-1]) if said else ""
        if "is disabled on this system" in last:
            return UserError("channel.service_disabled", where=self.name, service=self.service)
        # Apprise quotes the URL or a token where it finds fault with it.
        why = self._hide(line(re.sub(r"\S+://\S*|\([^)]*\)", "", last)))
        return UserError(
            "channel.url_incomplete", where=self.name, service=self.service, why=cut(why, 200)
        )

    def _limits(self) -> Limits:
        plugin = self.plugin
        num_chars = min(int(plugin.body_maxlen) - len(_LINE_END), _MAX_CHARS)
        return Limits(
            num_chars=num_chars,
            min_gap_s=max(0.0, min(float(plugin.request_rate_per_sec), 60.0)),
            attaches=bool(plugin.attachment_support),
            format="short" if num_chars < _SHORT_BELOW_CHARS else "full",
        )


def _attachment(file: Path) -> Any:
    # Made of the file itself: as a URL, a name with a question mark would lose its end.
    made: Any = AttachFile
    return apprise.AppriseAttachment(made(str(file)))


def _storage() -> dict[str, Any]:
    """Where plug-ins keep tokens they were given: in memory, a renewed one would be lost."""
    folder = Path(state_dir()) / "apprise"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return {"storage_mode": "memory"}
    return {"storage_mode": "flush", "storage_path": str(folder)}


def _schemas() -> list[str]:
    """Every scheme Apprise knows."""
    known: Any = apprise.manager_plugins.NotificationManager
    return sorted(known().schemas())
