"""Slack, in its two ways: a webhook, and a bot, which can edit and attach.

``slack://xoxb-…/C0123ABC`` or ``…/general`` is a bot; ``https://hooks.slack.com/services/…`` or
``slack://T…/B…/…`` a webhook. Both are sent a plain ``text``: Apprise's webhook puts everything
into an attachment, of which a phone's notification shows nothing. The bot speaks the documented Web
API: chat.postMessage, chat.update, files.getUploadURLExternal, files.completeUploadExternal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from overnight.channels import answers
from overnight.channels.attach import attach
from overnight.channels.base import Channel, Refused, Retry
from overnight.channels.fit import cut, folded, line
from overnight.channels.services import SERVICES
from overnight.channels.url import hide
from overnight.errors import UserError
from overnight.messages import say

_API = "https://slack.com/api/"
#: The API takes 40,000; beyond 4,000 Slack advises against.
_NUM_CHARS = SERVICES["slack"].limits.num_chars
_BOT = re.compile(r"slack://(xox[a-z]-[A-Za-z0-9-]+)(?:/([^?]*))?(?:\?.*)?", re.IGNORECASE)
_HOOK = re.compile(
    r"(?:https://hooks\.slack\.com/services|slack:/)/([A-Z]\w{4,}/[A-Z]\w{4,}/\w{10,})/?(?:\?.*)?",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"#?[\w.-]{1,80}")
# Its errors, as its documentation lists them.
_LATER = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable",
     "request_timeout", "team_added_to_org", "message_limit_exceeded"}
)  # fmt: skip
_BAD_KEY = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired",
     "no_permission", "org_login_required", "ekm_access_denied", "not_allowed_token_type",
     "access_denied"}
)  # fmt: skip
#: The message to be edited is not there to be edited.
_GONE = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found",
     "is_inactive"}
)  # fmt: skip


def open_slack(name: str, url: str) -> Channel:
    """The bot or the webhook, as the URL says.

    Raises:
        UserError: The URL can be neither.
    """
    return SlackBot(name, url) if _BOT.fullmatch(url) else SlackHook(name, url)


def _message(title: str, text: str) -> dict[str, Any]:
    whole = folded(title, text, _NUM_CHARS) or say("channel.empty_text")
    # These three are all there is to escape once Slack is told not to look for its marks.
    for char, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        whole = whole.replace(char, escaped)
    return {"text": whole, "mrkdwn": False}


class SlackHook:
    """An incoming webhook: one channel, texts only.

    Raises:
        UserError: The URL is not a whole webhook.
    """

    service = "slack"
    limits = SERVICES["slack"].limits

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url
        match = _HOOK.fullmatch(url)
        if match is None:
            raise UserError("channel.slack_hook_form", where=name)
        self._hook = "https://hooks.slack.com/services/" + match[1]

    def __repr__(self) -> str:
        return f"SlackHook({self.name!r})"

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """As ``Channel.send``. Returns None."""
        data = json.dumps(_message(title, text)).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answers.post(self._hook, data, headers=headers, name=self.name, hide=self._hide)
        return None

    def _hide(self, text: str) -> str:
        return hide(text, self._url)


class SlackBot:
    """A bot that writes into one channel. Its reference is ``<channel id>:<timestamp>``.

    Raises:
        UserError: The token is not a bot's, or no channel is named.
    """

    service = "slack"
    limits = replace(SERVICES["slack"].limits, attaches=True, edits=True)

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url
        match = _BOT.fullmatch(url)
        if match is None or not match[1].lower().startswith("xoxb-"):
            raise UserError("channel.slack_key_form", where=name)
        self._token = match[1]
        self._channel = unquote(match[2] or "").strip("/")
        if not _CHANNEL.fullmatch(self._channel):
            raise UserError("channel.slack_channel_form", where=name)

    def __repr__(self) -> str:
        return f"SlackBot({self.name!r})"

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """As ``Channel.send``; files go into the channel after the text, which they never cost."""
        message = _message(title, text)
        reference = self._edit(message, edit) if edit else None
        if reference is None:
            posting = {**message, "channel": self._channel, "unfurl_links": False}
            said = self._call("chat.postMessage", posting)
            reference = f"{said.get('channel', '')}:{said.get('ts', '')}"
        channel = reference.partition(":")[0]
        attach(self.name, files, lambda file: self._upload(file, channel))
        return reference

    def _edit(self, message: Mapping[str, Any], reference: str) -> str | None:
        """The reference of the edited message; None where there is none to be edited."""
        channel, _, stamp = reference.partition(":")
        if not channel or not stamp:
            return None
        try:
            self._call("chat.update", {**message, "channel": channel, "ts": stamp})
        except _Gone:
            return None
        return reference

    def _upload(self, file: Path, channel: str) -> None:
        name, data = line(file.name), file.read_bytes()
        ask = {"filename": name, "length": str(len(data))}
        place = self._call("files.getUploadURLExternal", form=ask)
        where = urlsplit(str(place.get("upload_url", "")))
        host = (where.hostname or "").lower()
        if where.scheme != "https" or not (host == "slack.com" or host.endswith(".slack.com")):
            raise Retry(say("channel.why_unknown", detail="upload_url"))
        self._post(where.geturl(), {"Content-Type": "application/octet-stream"}, data)
        done = {"files": [{"id": place.get("file_id"), "title": name}], "channel_id": channel}
        self._call("files.completeUploadExternal", done)

    def _call(
        self,
        method: str,
        value: Mapping[str, Any] | None = None,
        *,
        form: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        data: bytes | Mapping[str, str] = form or {}
        if form is None:
            headers["Content-Type"] = "application/json; charset=utf-8"
            data = json.dumps(value).encode()
        said = self._post(_API + method, headers, data)
        try:
            answer = said.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Retry(say("channel.why_broken_off", host="slack.com"))
        if answer.get("ok") is not True:
            raise self._meaning(method, str(answer.get("error", "")), answer)
        return answer

    def _post(
        self, url: str, headers: Mapping[str, str], data: bytes | Mapping[str, str]
    ) -> requests.Response:
        return answers.post(url, data, headers=headers, name=self.name, hide=self._hide)

    def _meaning(self, method: str, error: str, answer: Mapping[str, Any]) -> Retry | Refused:
        word = cut(self._hide(line(error)), 80)
        fields = {"host": "slack.com", "said": word, "name": self.name}
        if method == "chat.update" and error in _GONE:
            return _Gone("channel.refused_message", where=self.name, **fields)
        if error in _LATER:
            return Retry(say("channel.why_status", host="slack.com", said=word))
        if error in _BAD_KEY:
            return Refused("channel.refused_key", where=self.name, **fields)
        if error == "channel_not_found":
            return Refused("channel.slack_no_channel", where=self.name, channel=self._channel)
        if error in ("not_in_channel", "is_archived", "restricted_action"):
            return Refused("channel.slack_not_in", where=self.name, channel=self._channel)
        if error == "missing_scope":
            scope = cut(line(str(answer.get("needed", "chat:write"))), 80)
            return Refused("channel.slack_scope", where=self.name, scope=scope)
        return Refused("channel.refused_message", where=self.name, **fields)

    def _hide(self, text: str) -> str:
        return hide(text, self._url)


class _Gone(Refused):
    """The message to be edited is gone, or too old."""
