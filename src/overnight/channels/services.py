"""The services one can be asked about: what to ask, how the answers become a URL, what it takes.

``notify add`` walks a service's fields and hands what was typed to :meth:`Service.url`, which says
at once what cannot be right. Sentences are in the catalogue: ``channel.<service>.<field>`` is the
question, ``channel.<service>.<field>_help`` where the answer is found.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from overnight import plugins
from overnight.channels.base import Limits
from overnight.errors import UserError
from overnight.messages import say


@dataclass(frozen=True, slots=True)
class Field:
    """One question.

    Attributes:
        name: What its answer is called.
        secret: Whether the answer is typed without being shown.
        required: Whether it may not be left empty.
    """

    name: str
    secret: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class Service:
    """A service and how to get at it.

    Attributes:
        word: What it is called in commands.
        fields: What to ask, in this order; none where nothing need be known.
        limits: What it takes.
    """

    word: str
    fields: tuple[Field, ...]
    build: Callable[[Mapping[str, str]], str]
    limits: Limits = Limits()

    @property
    def title(self) -> str:
        """Its name, as it writes it."""
        return say(f"channel.{self.word}.title")

    def question(self, field: Field) -> str:
        """The few words that ask for a field."""
        return say(f"channel.{self.word}.{field.name}")

    def help(self, field: Field) -> str:
        """Where a field's answer is found."""
        return say(f"channel.{self.word}.{field.name}_help")

    def url(self, answers: Mapping[str, str]) -> str:
        """The URL that these answers make.

        Raises:
            UserError: An answer is missing or cannot be right; the error does not repeat it.
        """
        values = {name: value.strip() for name, value in answers.items()}
        for field in self.fields:
            value = values.setdefault(field.name, "")
            if field.required and not value:
                raise UserError("channel.answer_missing", where=self.question(field))
            if not value.isprintable():
                raise UserError("channel.answer_unprintable", where=self.question(field))
        return self.build(values)


def _check(values: Mapping[str, str], name: str, pattern: str, key: str) -> str:
    """The answer, if it has the form that all answers of its kind have."""
    value = values[name]
    if not re.fullmatch(pattern, value):
        raise UserError(key)
    return value


def _split(address: str, key: str) -> SplitResult:
    """A web address in its parts, if it has such."""
    try:
        return urlsplit(address)
    except ValueError:  # https://[x
        raise UserError(key) from None


def _enc(value: str) -> str:
    return quote(value, safe="")


def _kakao(values: Mapping[str, str]) -> str:
    key = _check(values, "rest_key", "[0-9a-fA-F]{32}", "channel.kakao_key_form")
    secret = values["client_secret"]
    return f"kakao://{key}" + (f"?client_secret={_enc(secret)}" if secret else "")


def _naver(values: Mapping[str, str]) -> str:
    user = values["user"].removesuffix("@naver.com")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{2,39}", user):
        raise UserError("channel.naver_user_form")
    return _mail_url(user, "naver.com", values["password"].replace(" ", ""), values["to"])


def _mail(values: Mapping[str, str]) -> str:
    address = _check(values, "address", r"[^@\s]+@[\w-]+(?:\.[\w-]+)+", "channel.mail_address_form")
    user, _, host = address.rpartition("@")
    url = _mail_url(user, host, values["password"], values["to"])
    server = values["server"]
    if not server:
        return url
    # smtp.example.com, smtp.example.com:465
    match = re.fullmatch(r"([\w-]+(?:\.[\w-]+)*)(?::(\d{1,5}))?", server)
    if match is None:
        raise UserError("channel.mail_server_form")
    port = int(match[2] or 465)
    mode = "starttls" if port in (25, 587, 2525) else "ssl"
    head, mark, options = url.partition("?")
    options = f"smtp={match[1]}&mode={mode}" + (f"&{options}" if mark else "")
    return f"{head}:{port}?{options}"


def _mail_url(user: str, host: str, password: str, to: str) -> str:
    url = f"mailtos://{_enc(user)}:{_enc(password)}@{host.lower()}"
    addresses = list(filter(None, re.split(r"[,;\s]+", to)))
    for address in addresses:
        if not re.fullmatch(r"[^@\s]+@[\w-]+(?:\.[\w-]+)+", address):
            raise UserError("channel.mail_address_form")
    return url + (f"?to={','.join(map(_enc, addresses))}" if addresses else "")


def _slack(values: Mapping[str, str]) -> str:
    key, channel = values["key"], values["channel"]
    if key.startswith("https://"):
        return _check(
            values,
            "key",
            r"https://hooks\.slack\.com/services/[A-Z]\w{4,}/[A-Z]\w{4,}/\w{10,}/?",
            "channel.slack_hook_form",
        )
    if not re.fullmatch(r"xoxb-[A-Za-z0-9-]{10,}", key):
        raise UserError("channel.slack_key_form")
    if not re.fullmatch(r"#?[\w.-]{1,80}", channel):
        raise UserError("channel.slack_channel_form")
    return f"slack://{key}/{_enc(channel)}"


#: A token of LINE Notify, which ended on 2025-03-31.
_LINE_NOTIFY_TOKEN = re.compile("[A-Za-z0-9]{43}")


def _line(values: Mapping[str, str]) -> str:
    token, to = values["token"], values["to"]
    if _LINE_NOTIFY_TOKEN.fullmatch(token):
        raise UserError("channel.line_notify_ended")
    if not re.fullmatch(r"[A-Za-z0-9+/=._-]{60,}", token):
        raise UserError("channel.line_token_form")
    if not re.fullmatch("[UCR][0-9a-f]{32}", to):
        raise UserError("channel.line_to_form")
    return f"line://{_enc(token)}/{to}"


def _discord(values: Mapping[str, str]) -> str:
    found = re.fullmatch(
        r"https://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/(\d+)/([\w-]+)/?",
        values["hook"],
    )
    if found is None:
        raise UserError("channel.discord_hook_form")
    return f"discord://{found[1]}/{found[2]}"


def _telegram(values: Mapping[str, str]) -> str:
    token = _check(values, "token", r"\d{6,}:[\w-]{30,}", "channel.telegram_token_form")
    chat = _check(values, "chat", r"-?\d{4,}|@\w{5,}", "channel.telegram_chat_form")
    return f"tgram://{token}/{chat}"


def _teams(values: Mapping[str, str]) -> str:
    hook = values["hook"]
    parts = _split(hook, "channel.teams_hook_form")
    host = (parts.hostname or "").lower()
    if host.endswith((".webhook.office.com", "outlook.office.com", "outlook.office365.com")):
        raise UserError("channel.teams_connector_ended")
    known = host.endswith((".logic.azure.com", ".api.powerplatform.com"))
    if parts.scheme != "https" or not known or "sig=" not in parts.query:
        raise UserError("channel.teams_hook_form")
    return hook


def _ntfy(values: Mapping[str, str]) -> str:
    topic = values["topic"] or "overnight-" + secrets.token_hex(8)
    if not re.fullmatch("[-_A-Za-z0-9]{1,64}", topic):
        raise UserError("channel.ntfy_topic_form")
    server = values["server"] or "https://ntfy.sh"
    parts = _split(server if "://" in server else "https://" + server, "channel.ntfy_server_form")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise UserError("channel.ntfy_server_form")
    scheme = "ntfy" if parts.scheme == "http" else "ntfys"
    token = values["token"]
    login = f"{_enc(token)}@" if token else ""
    # An access token of ntfy begins with tk_, and has to be named as one.
    return f"{scheme}://{login}{parts.netloc}/{topic}" + ("?auth=token" if token else "")


def _apprise(values: Mapping[str, str]) -> str:
    return _check(values, "url", r"[A-Za-z][A-Za-z0-9+.-]*://\S*", "channel.url_form")


_MAX_WORD_CHARS = 12
#: Kakao takes 20 messages a day from one person to one person, of 200 characters.
_KAKAO = Limits(num_chars=200, per_day=20, num_reserved=5, format="short")
#: LINE's free plan counts messages times people.
_LINE = Limits(num_chars=5000, per_month=200, num_reserved=20)
_MAIL = Limits(attaches=True)
SERVICES: dict[str, Service] = {
    service.word: service
    for service in (
        Service(
            "kakao",
            (Field("rest_key", secret=True), Field("client_secret", secret=True, required=False)),
            _kakao,
            _KAKAO,
        ),
        Service(
            "naver",
            (Field("user"), Field("password", secret=True), Field("to", required=False)),
            _naver,
            _MAIL,
        ),
        Service(
            "mail",
            (
                Field("address"),
                Field("password", secret=True),
                Field("server", required=False),
                Field("to", required=False),
            ),
            _mail,
            _MAIL,
        ),
        # A message a second in one channel; 40,000 characters are taken, 4,000 read well.
        Service(
            "slack",
            (Field("key", secret=True), Field("channel", required=False)),
            _slack,
            Limits(num_chars=4000, min_gap_s=1.0),
        ),
        Service("line", (Field("token", secret=True), Field("to")), _line, _LINE),
        # 2,000 characters are taken; what it would read as marks is sent as two each.
        Service(
            "discord",
            (Field("hook", secret=True),),
            _discord,
            Limits(num_chars=1700, min_gap_s=0.5, attaches=True),
        ),
        Service(
            "telegram",
            (Field("token", secret=True), Field("chat")),
            _telegram,
            Limits(num_chars=4096, min_gap_s=1.0, attaches=True, edits=True),
        ),
        # A card may hold 28 KB; what Apprise puts around a text leaves 1,000 characters, and each
        # line ends twice.
        Service(
            "teams", (Field("hook", secret=True),), _teams, Limits(num_chars=850, min_gap_s=1.0)
        ),
        # 250 messages a day and 4,096 bytes each without an account; Hangul has three bytes.
        Service(
            "ntfy",
            (
                Field("topic", secret=True, required=False),
                Field("server", required=False),
                Field("token", secret=True, required=False),
            ),
            _ntfy,
            Limits(num_chars=1300, per_day=250, num_reserved=20, min_gap_s=1.0, attaches=True),
        ),
        Service("desktop", (), lambda values: "desktop://", Limits(num_chars=400, format="short")),
        Service("console", (), lambda values: "console://"),
        Service("apprise", (Field("url", secret=True),), _apprise),
    )
}


def find(word: str) -> Service:
    """The service called ``word``.

    Raises:
        UserError: There is none; says which was probably meant.
    """
    word = word.strip().lower()
    service = SERVICES.get(word)
    if service is None:
        near = plugins.nearest(word, SERVICES)
        raise UserError(
            "channel.service_unknown" if near is None else "channel.service_misspelt",
            # A key or a password typed in its place is longer.
            where=word if word.isprintable() and len(word) <= _MAX_WORD_CHARS else "",
            near=near or "",
            services=", ".join(SERVICES),
        )
    return service
