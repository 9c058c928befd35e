"""Secrets are known by their variable's name or by their looks, in whatever spelling they stand."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overnight.redact import MASK, is_secret_name, redact, redact_args, secret_values

texts = st.text(st.characters(codec=None) | st.characters(categories=["Cs", "Cc"]), max_size=200)


@pytest.mark.parametrize(
    "name",
    [
        "WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "PGPASSWORD_2",
        "SLACK_WEBHOOK", "SENTRY_DSN", "GITHUB_PAT", "OPENAI_APIKEY", "MY_SECRET", "SECRETS",
        "API_KEYS", "SSH_PASSPHRASE", "token", "KEY", "AUTH", "SESSION_COOKIE", "MYSQL_PWD",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["PATH", "PWD", "OLDPWD", "HOME", "TOKENIZERS_PARALLELISM", "KEYBOARD", "AUTHOR", "MONKEY",
     "COMPASS", "XDG_SESSION_ID", "CUDA_VISIBLE_DEVICES", "PYTHONPATH", "PASSED", "WANDB_PROJECT"],
)  # fmt: skip
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


def test_a_value_is_replaced_by_the_name_of_its_variable() -> None:
    env = {"DB_PASSWORD": "hunter22", "USER": "kim"}
    assert redact("login kim:hunter22 failed", env) == "login kim:[DB_PASSWORD] failed"


def test_the_longer_secret_goes_first() -> None:
    env = {"A_KEY": "abcdef", "B_KEY": "abcdefghij"}
    assert redact("abcdefghij abcdef", env) == "[B_KEY] [A_KEY]"


def test_short_values_and_paths_to_files_are_no_secrets(tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.touch()
    env = {"DEBUG_KEY": "true", "GOOGLE_AUTH": str(key_file), "PWD": "/somewhere/else"}
    assert secret_values(env) == {}
    text = f"true {key_file} /somewhere/else"
    assert redact(text, env) == text


def test_a_secret_may_begin_like_a_path() -> None:
    env = {"AWS_SECRET_ACCESS_KEY": "/bPxRfiCYEXAMPLEKEY+wJalrXUtnFEMI"}
    assert redact("key=" + env["AWS_SECRET_ACCESS_KEY"], env) == "key=[AWS_SECRET_ACCESS_KEY]"


@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=40))
@example("p@ss'w\"o\\rd\n+ 100%")
@example("비밀번호입니다정말로")
@example("C:\\temp\\new")
@example("]]]]]]]]]")
def test_a_secret_is_found_in_every_spelling(secret: str) -> None:
    env = {"MY_TOKEN": secret}
    for text in (secret, json.dumps(secret), repr(secret), f"x{secret}y", quote(secret, safe=""),
                 json.dumps({"error": f"bad {secret}!"}), shlex.join([secret]) if "'" not in secret
                 else secret):  # fmt: skip
        # The name stands there now, so a secret that is a part of it may still be seen there.
        assert secret not in redact(text, env).replace("[MY_TOKEN]", "")


def test_each_long_line_of_a_key_is_hidden() -> None:
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    env = {"DEPLOY_KEY": f"-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n"}
    assert line not in redact(f"could not load key at line 2: {line}", env)


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234", "hf_abcdefghijklmnopqrstuv", "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 20, "xoxb-1234567890-abcdef", "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "x" * 35, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4",
        "local-" + "0f" * 20, "glpat-abcdefghij0123456789", "nvapi-abcdefghij0123456789",
        "pypi-AgEIcHlwaS5vcmcCJD" + "a" * 40,
    ],
)  # fmt: skip
def test_tokens_are_known_by_their_looks(secret: str) -> None:
    for text in ("{}", "token is {}.", "'{}'", "https://x:{}@host/", "a={}&b=2"):
        clean = redact(text.format(secret), {})
        assert secret not in clean
        assert secret[:8] not in clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgres://kim:pa:ss@db/x", f"postgres://kim:{MASK}@db/x"),
        ("https://u:p@ss@host/path", f"https://u:{MASK}@host/path"),
        ("redis://:secretpw@host:6379/0", f"redis://:{MASK}@host:6379/0"),
        ("train.py --api-key=abc --lr 3", f"train.py --api-key={MASK} --lr 3"),
        ("train.py --hf-token abc", f"train.py --hf-token {MASK}"),
        ("x --password 'two words' y", f"x --password {MASK} y"),
        ('x --password="two words" y', f"x --password={MASK} y"),
        ("WANDB_API_KEY=abc python x.py", f"WANDB_API_KEY={MASK} python x.py"),
        ("env HF_TOKEN='a b' python", f"env HF_TOKEN={MASK} python"),
        ("Authorization: Basic a2ltOnB3", f"Authorization: Basic {MASK}"),
        ("authorization: Bearer abcdefgh.ijk", f"authorization: Bearer {MASK}"),
        ("https://hooks.slack.com/services/T0/B0/xyz", f"https://hooks.slack.com/services/{MASK}"),
        ("https://discord.com/api/webhooks/1/abc", f"https://discord.com/api/webhooks/{MASK}"),
    ],
)
def test_what_stands_where_a_secret_stands_is_hidden(text: str, clean: str) -> None:
    assert redact(text, {}) == clean


@pytest.mark.parametrize(
    "text",
    [
        "loss 0.31 at step 120",
        "train.py --max-tokens 512 --tokenizer bert --lr 3e-4",
        "pad_token=<pad> keys=3 key=loss",
        "MAX_TOKENS=4096",
        "https://huggingface.co/bert-base-uncased",
        "see http://localhost:8888/tree",
        "basic augmentation; bearer of news",
        "10:30:12 user@host: epoch 3/10",
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "sk-learn, hf_hub, skip-connection",
    ],
)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert redact(text, {}) == text


def test_a_command_hides_what_follows_the_option() -> None:
    args = ["python", "x.py", "--hf-token", "abc", "--lr", "3", "--password", "p", "--token=q"]
    assert redact_args(args, {}) == [
        "python", "x.py", "--hf-token", MASK, "--lr", "3", "--password", MASK, f"--token={MASK}",
    ]  # fmt: skip
    assert redact_args(["--token"], {}) == ["--token"]
    assert redact_args(["--token", "--token", "a"], {}) == ["--token", MASK, "a"]


@given(texts, st.dictionaries(st.sampled_from(["A_KEY", "B_TOKEN", "USER"]), texts, max_size=3))
def test_any_text_and_any_environment_give_a_text(text: str, env: dict[str, str]) -> None:
    clean = redact(text, env)
    for value in secret_values(env):
        for name in env:
            clean = clean.replace(f"[{name}]", "")
        assert value not in clean.replace(MASK, "") or value in MASK


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000, "a://" * 50_000, "--a-" * 50_000, "eyJ" * 60_000, "A_" * 100_000,
        "sk-" * 60_000, "--token " * 20_000, "x://y:" + "z" * 200_000, "authorization:" * 10_000,
        "--token='" + "a" * 200_000,
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_long_texts_take_no_long_time(text: str) -> None:
    # In a process of its own, because a regular expression that hangs cannot be interrupted. The
    # limit is for a hang; the longest takes a tenth of a second.
    code = "import sys, overnight.redact as r; r.redact(sys.stdin.read(), {'A_KEY': 40 * 'x'})"
    subprocess.run([sys.executable, "-c", code], input=text, text=True, check=True, timeout=60)
