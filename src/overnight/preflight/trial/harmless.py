"""What a trial must not do to the world outside: trackers are off, what cannot be is looked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from overnight.preflight.trial.shorten import imported

#: Each tracker's own switch for "tell nobody".
_QUIET = {
    "WANDB_MODE": "disabled",
    "WANDB_SILENT": "true",
    "COMET_MODE": "disabled",
    "COMET_START_MODE": "offline",
    "NEPTUNE_MODE": "debug",
    "CLEARML_OFFLINE_MODE": "1",
    "SWANLAB_MODE": "disabled",
    "TRACKIO_DISABLED": "1",
    "DVCLIVE_TEST": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Overnight's own: nobody is told of a trial.
    "OVERNIGHT_TRIAL": "1",
}
#: Modules that nobody imports but to tell others something, or to buy something.
_MODULES = frozenset([
    "anthropic", "apprise", "boto3", "cohere", "discord", "discord_webhook", "google.cloud",
    "google.genai", "google.generativeai", "groq", "kaggle", "knockknock", "litellm", "mistralai",
    "openai", "paramiko", "psycopg", "psycopg2", "pymongo", "pymsteams", "pymysql", "replicate",
    "slack_sdk", "smtplib", "telegram", "together", "twilio", "yagmail",
])  # fmt: skip
#: Modules that read as well: only calls that send count, as do calls of anybody's `post`.
_CLIENTS = frozenset(["requests", "httpx", "aiohttp", "urllib3"])
_SENDING_CALL = re.compile(
    r"\.post$|(?i:requests|httpx|session|client|http)[\w()]*\.(?:put|patch|delete)$"
)
#: Addresses at which a mere GET tells somebody something.
_ADDRESSES = re.compile(
    r"api\.telegram\.org|hooks\.slack\.com|discord(?:app)?\.com/api/webhooks"
    r"|(?:notify-)?api\.line\.me|kapi\.kakao\.com|\bntfy\.sh"
)
_COMMANDS = re.compile(
    r"\bgit push\b|\bsbatch\b|\bkubectl\b|\bkaggle (?:competitions submit|datasets version)\b"
    r"|\b(?:hf|huggingface-cli) upload|\baws s3\b|\bgsutil\b|\bsendmail\b"
    r"|\bcurl\b.* (?:-d|-F|-X|--data\S*|--form|--request)\b|\b(?:scp|rsync) \S.*\S:"
)
#: What a source says that takes care of trials by itself.
_KNOWS_TRIALS = "OVERNIGHT_TRIAL"


def environment(env: Mapping[str, str], folder: str) -> dict[str, str]:
    """``env`` with every tracker switched off, or aimed at ``folder``."""
    return {
        **env,
        **_QUIET,
        "MLFLOW_TRACKING_URI": f"file:{folder}/mlruns",
        # MLflow refuses its own file store in newer versions unless told.
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "WANDB_DIR": folder,
        "AIM_REPO": folder,
    }


def senders_in(sources: Mapping[str, str]) -> dict[str, str]:
    """What a job uses to tell other machines something, which a trial cannot hold back.

    Args:
        sources: Name of a file → its text: Python, or else a shell script.

    Returns:
        What it is called → the first file that uses it.
    """
    found: dict[str, str] = {}
    for name, source in sources.items():
        if _KNOWS_TRIALS in source:
            continue
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            senders: Iterator[str] = _of_text(re.sub(r"(?m)^\s*#.*", "", source))
        else:
            senders = _of_tree(tree)
        for sender in senders:
            found.setdefault(sender, name)
    return found


def _of_tree(tree: ast.Module) -> Iterator[str]:
    names = set(imported(tree))
    yield from (each for each in _MODULES if _among(each, names))
    clients = sorted({each.partition(".")[0] for each in names} & _CLIENTS)
    nodes = list(ast.walk(tree))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Call):
            yield from _of_call(node, clients)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield from _of_text(node.value)
        elif isinstance(node, (ast.List, ast.Tuple)):
            words = [each.value for each in node.elts if isinstance(each, ast.Constant)]
            yield from _of_text(" ".join(map(str, words)))


def _among(module: str, names: set[str]) -> bool:
    """Whether it, or a part of it, is imported: ``google.cloud.storage`` of ``google.cloud``."""
    return any((name + ".").startswith(module + ".") for name in names)


def _of_call(node: ast.Call, clients: list[str]) -> Iterator[str]:
    called = ast.unparse(node.func)
    last = called.rpartition(".")[2]
    given = {each.arg: each.value for each in node.keywords}
    first = node.args[0] if node.args else None
    if last in ("set_tracking_uri", "MlflowClient") and _is_server(
        first or given.get("uri") or given.get("tracking_uri")
    ):
        yield "MLflow"  # an address given in the code beats the environment's
    elif last == "init" and "wandb" in called and "mode" in given:
        if ast.unparse(given["mode"]) not in ("'offline'", "'disabled'"):
            yield "W&B"
    elif clients and (_SENDING_CALL.search(called) or (last == "request" and _sends(first))):
        yield clients[0]
    elif last in ("urlopen", "Request") and ("data" in given or len(node.args) > 1):
        yield "urllib"


def _is_server(address: ast.expr | None) -> bool:
    if isinstance(address, ast.Constant) and isinstance(address.value, str):
        return address.value.startswith(("http", "databricks", "postgres", "mysql"))
    return address is not None  # worked out by the job: it may be one


def _sends(method: ast.expr | None) -> bool:
    return not (isinstance(method, ast.Constant) and str(method.value).upper() in ("GET", "HEAD"))


def _of_text(text: str) -> Iterator[str]:
    for pattern in (_ADDRESSES, _COMMANDS):
        yield from (each[0].split(" -", 1)[0][:40] for each in pattern.finditer(text[:100_000]))
