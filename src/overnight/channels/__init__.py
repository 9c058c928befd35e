"""Where messages go: KakaoTalk, mail, Slack, LINE and everything Apprise knows.

A channel is a name and a URL. The URL's scheme says which class opens it; importing this room
imports none of them.
"""

from __future__ import annotations

import re

from overnight import plugins
from overnight.channels.base import Channel, Limits, Refused, Retry
from overnight.channels.url import hide, scheme_of, service_of
from overnight.errors import OvernightError, UserError

__all__ = ["GROUP", "Channel", "Limits", "Refused", "Retry", "open_channel"]

#: The entry point group: scheme → class (or function) called with the channel's name and URL.
GROUP = "overnight.channels"
ROWS = {
    "kakao": "overnight.channels.kakao:Kakao",
    "mailto": "overnight.channels.mail:Mail",
    "mailtos": "overnight.channels.mail:Mail",
    "slack": "overnight.channels.slack:open_slack",
    "tgram": "overnight.channels.telegram:open_telegram",
    "console": "overnight.channels.terminal:Console",
    "desktop": "overnight.channels.terminal:Desktop",
}
#: Apprise's own way to KakaoTalk loses the rotated token when its process ends.
_KAKAO_OF_APPRISE = "kakaotalk"
_UNPRINTABLE = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]")


def open_channel(name: str, url: str) -> Channel:
    """The channel that ``url`` describes. Contacts nobody.

    Raises:
        UserError: The URL cannot be one; the error says why and holds nothing of its secrets.
    """
    url = url.strip()
    scheme = scheme_of(url)
    if not scheme:
        raise UserError("channel.url_form", where=name)
    if _UNPRINTABLE.search(url):
        raise UserError("channel.url_characters", where=name)
    if scheme == _KAKAO_OF_APPRISE:
        raise UserError("channel.kakaotalk", where=name, name=name)
    # Slack hands out a web address, which says as much as a scheme of its own.
    word = service_of(url) if scheme in ("http", "https") else scheme
    kind = plugins.find(GROUP, word, ROWS)
    if kind is None:
        from overnight.channels.apprise_url import AppriseChannel

        kind = AppriseChannel
    try:
        channel: Channel = kind(name, url)
    except OvernightError:
        raise
    except Exception as error:  # a plug-in's class may raise anything
        why = hide(f"{type(error).__name__}: {error}", url)
        raise UserError("plugin.failed", where=name, why=why) from None
    return channel
