"""The loopback internet as real clients see it: requests, curl's variables, Apprise's plugins."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import apprise
import pytest
import requests

from overnight.testing.foreign import Answer, Internet, Request

HOST = "api.example.com"


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    with Internet(tmp_path) as internet:
        for name, value in internet.env.items():
            monkeypatch.setenv(name, value)
        yield internet


def echo(request: Request) -> Answer:
    return Answer(200, {"path": request.path, "query": dict(request.query), "form": request.form})


def test_a_request_arrives_over_tls_and_is_answered(net: Internet) -> None:
    net.serve(HOST, echo)
    answer = requests.post(
        f"https://{HOST}/한글?a=1&b=",
        data={"text": "끝났습니다"},
        headers={"X-One": "1"},
        timeout=10,
    )
    assert answer.json() == {
        "path": "/%ED%95%9C%EA%B8%80",
        "query": {"a": "1", "b": ""},
        "form": {"text": "끝났습니다"},
    }
    (request,) = net.requests
    assert (request.method, request.host) == ("POST", HOST)
    assert request.headers["x-one"] == request.headers["X-One"] == "1"


def test_plain_http_goes_through_the_proxy_too(net: Internet) -> None:
    net.serve(HOST, echo)
    assert requests.get(f"http://{HOST}/p?q=7", timeout=10).json()["query"] == {"q": "7"}
    assert requests.head(f"http://{HOST}/p", timeout=10).content == b""
    assert [(r.method, r.path) for r in net.requests] == [("GET", "/p"), ("HEAD", "/p")]


def test_the_standard_library_is_in_the_same_internet(net: Internet) -> None:
    net.serve(HOST, lambda request: Answer(200, "yes"))
    with urllib.request.urlopen(f"https://{HOST}/", timeout=10) as answer:
        assert answer.read() == b"yes"


def test_another_process_is_in_the_same_internet(net: Internet) -> None:
    net.serve(HOST, lambda request: Answer(200, "yes"))
    code = f"import requests; print(requests.get('https://{HOST}/', timeout=10).text)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **net.env},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "yes\n"


def test_one_connection_carries_many_requests(net: Internet) -> None:
    net.serve(HOST, echo)
    net.serve("other.example.com", lambda request: Answer(204))
    with requests.Session() as session:
        for number in range(20):
            assert session.get(f"https://{HOST}/{number}", timeout=10).ok
            assert session.get("https://other.example.com/", timeout=10).status_code == 204
    assert len(net.requests) == 40


def test_many_clients_at_once(net: Internet) -> None:
    net.serve(HOST, echo)
    statuses: list[int] = []

    def ask(number: int) -> None:
        statuses.append(requests.get(f"https://{HOST}/{number}", timeout=30).status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20


def test_a_host_nobody_plays_does_not_exist(net: Internet) -> None:
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get("https://elsewhere.example.com/", timeout=10)
    assert requests.get("http://elsewhere.example.com/", timeout=10).status_code == 502
    assert net.requests == []


@pytest.mark.parametrize(
    ("fault", "error", "num_carried_out", "num_arrived"),
    [
        ("refused", requests.exceptions.ConnectionError, 0, 0),
        ("dns", requests.exceptions.ConnectionError, 0, 0),
        ("frozen", requests.exceptions.ReadTimeout, 0, 1),
        ("cut", requests.exceptions.ChunkedEncodingError, 1, 1),
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_fault_is_met_once_and_then_all_is_well(
    net: Internet,
    scheme: str,
    fault: str,
    error: type[Exception],
    num_carried_out: int,
    num_arrived: int,
) -> None:
    carried_out: list[Request] = []

    def handler(request: Request) -> Answer:
        carried_out.append(request)
        return Answer(200, {"a": "long enough to be cut"})

    net.serve(HOST, handler)
    net.fault(HOST, fault)  # type: ignore[arg-type]
    if (scheme, fault) == ("http", "dns"):  # a proxy can only answer for a host it does not find
        assert requests.get(f"http://{HOST}/", timeout=10).status_code == 502
    else:
        with pytest.raises(error):
            requests.get(f"{scheme}://{HOST}/", timeout=(10, 0.3))
    assert (len(carried_out), len(net.requests)) == (num_carried_out, num_arrived)
    assert requests.get(f"{scheme}://{HOST}/", timeout=10).ok


def test_answers_as_faults_come_in_order_and_carry_nothing_out(net: Internet) -> None:
    net.serve(HOST, lambda request: Answer(200, "yes"))
    net.fault(HOST, Answer(503), times=2)
    net.fault(HOST, Answer(429, headers={"Retry-After": "2"}))
    answers = [requests.get(f"https://{HOST}/", timeout=10) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 429, 200]
    assert answers[2].headers["retry-after"] == "2"


def test_healing_takes_back_what_nobody_met(net: Internet) -> None:
    net.serve(HOST, lambda request: Answer(200, "yes"))
    net.fault(HOST, "refused", times=1000)
    for _ in range(2):
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"https://{HOST}/", timeout=10)
    net.heal(HOST)
    assert requests.get(f"https://{HOST}/", timeout=10).ok


def test_a_client_that_trusts_nobody_is_not_answered(
    net: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.serve(HOST, echo)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{HOST}/", timeout=10)
    assert net.requests == []


def test_a_mistake_in_a_handler_is_the_tests_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handler(request: Request) -> Answer:
        raise LookupError("the handler's mistake")

    net = Internet(tmp_path)
    net.__enter__()
    for name, value in net.env.items():
        monkeypatch.setenv(name, value)
    net.serve(HOST, handler)
    assert requests.get(f"https://{HOST}/", timeout=10).status_code == 500
    with pytest.raises(LookupError, match="the handler's mistake"):
        net.__exit__(None, None, None)


def test_leaving_ends_clients_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = []

    def wait() -> None:
        try:
            requests.get(f"https://{HOST}/", timeout=200)
        except requests.RequestException as error:
            errors.append(error)

    with Internet(tmp_path) as net:
        for name, value in net.env.items():
            monkeypatch.setenv(name, value)
        net.serve(HOST, echo)
        net.fault(HOST, "frozen")
        client = threading.Thread(target=wait)
        client.start()
        while not net.requests:
            client.join(0.01)
    client.join()
    assert len(errors) == 1
    assert not [t for t in threading.enumerate() if "internet" in t.name or "process_" in t.name]


# Apprise asks for it on Pythons that still have it.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_apprises_own_plugins_are_in_it(net: Internet) -> None:
    net.serve("hooks.slack.com", lambda request: Answer(200, "ok"))
    net.serve("api.line.me", lambda request: Answer(200, {}))
    for url in (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "line://" + "a" * 40 + "=/U" + "1" * 32,
    ):
        sender = apprise.Apprise()
        assert sender.add(url)
        assert sender.notify(body="끝났습니다")
    assert [request.host for request in net.requests] == ["hooks.slack.com", "api.line.me"]
    assert net.requests[1].json["messages"][0]["text"] == "끝났습니다"
