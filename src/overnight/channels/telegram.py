"""Telegram: a bot that writes to one chat, and can edit and attach.

``tgram://<token>/<chat>``, as Apprise writes it; a URL with several chats or with options is left
to Apprise. Ours sends plain text: Apprise has Telegram read HTML in it, in which ``<class 'int'>``
of a traceback is lost. The documented methods are sendMessage, editMessageText and sendPhoto or
sendDocument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from overnight.channels import answers
from overnight.channels.apprise_url import AppriseChannel
from overnight.channels.attach import attach
from overnight.channels.base import Channel, Refused, Retry
from overnight.channels.fit import folded, line
from overnight.channels.services import SERVICES
from overnight.channels.url import hide
from overnight.messages import say

_API = "https://api.telegram.org/bot"
_NUM_CHARS = SERVICES["telegram"].limits.num_chars
_PHOTOS = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_URL = re.compile(r"(?i)tgram://(\d+(?::|%3a)[\w-]+)/(-?\d+|@?[a-z]\w+)/?")


def open_telegram(name: str, url: str) -> Channel:
    """Our own channel for one chat, Apprise's for anything else.

    Raises:
        UserError: The URL can be neither.
    """
    return Telegram(name, url) if _URL.fullmatch(url) else AppriseChannel(name, url)


class Telegram:
    """One chat. Its reference is the message's number."""

    service = "telegram"
    limits = SERVICES["telegram"].limits

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url
        match = _URL.fullmatch(url)
        assert match is not None
        self._token = unquote(match[1])
        chat = match[2]
        self._chat = chat if chat.lstrip("-").isdigit() or chat.startswith("@") else "@" + chat

    def __repr__(self) -> str:
        return f"Telegram({self.name!r})"

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """As ``Channel.send``; files come after the text, which they never cost."""
        whole = folded(title, text, _NUM_CHARS).strip() or say("channel.empty_text")
        message = {"chat_id": self._chat, "text": whole, "disable_web_page_preview": True}
        reference = self._edit(message, edit) if edit else None
        if reference is None:
            said = self._call("sendMessage", json.dumps(message).encode())
            reference = str(said.get("message_id", ""))
        attach(self.name, files, self._upload)
        return reference

    def _edit(self, message: Mapping[str, Any], reference: str) -> str | None:
        """The reference of the edited message; None where there is none to be edited."""
        if not reference.isdecimal():
            return None
        edited = {**message, "message_id": int(reference)}
        try:
            self._call("editMessageText", json.dumps(edited).encode())
        except Refused as refusal:
            if "not modified" in refusal.said:
                return reference
            if "message" in refusal.said.lower():  # "to edit not found", "can't be edited"
                return None
            raise
        return reference

    def _upload(self, file: Path) -> None:
        kind = "photo" if file.suffix.lower() in _PHOTOS else "document"
        sent = {kind: (line(file.name), file.read_bytes())}
        self._call(f"send{kind.capitalize()}", {"chat_id": self._chat}, sent)

    def _call(
        self,
        method: str,
        data: bytes | Mapping[str, str],
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if isinstance(data, bytes) else {}
        url = f"{_API}{self._token}/{method}"
        try:
            response = answers.post(
                url, data, headers=headers, files=files, name=self.name, hide=self._hide
            )
        except Refused as refusal:
            raise self._meaning(refusal) from None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise Retry(say("channel.why_broken_off", host="api.telegram.org"))
        return result

    def _meaning(self, refusal: Refused) -> Refused:
        """Telegram says 404 to a wrong token, and 403 and 400 to a wrong chat."""
        fields = {"host": "api.telegram.org", "said": refusal.said, "name": self.name}
        if refusal.said.startswith(("401", "404")):
            return Refused("channel.refused_key", where=self.name, **fields)
        if refusal.said.startswith("403") or "chat not found" in refusal.said:
            return Refused("channel.refused_address", where=self.name, **fields)
        return refusal

    def _hide(self, text: str) -> str:
        return hide(text, self._url)
