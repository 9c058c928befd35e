"""What a trial must not do to the world outside: trackers are off, and what cannot be is told."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
#: What a script may send past those switches: what stands in its source → what it is called.
_SENDERS = {
    r"mlflow\.set_tracking_uri\(\s*[\"']https?:": "MLflow",
    r"wandb\.init\([^)]*\bmode\s*=\s*[\"'](?:online|offline)": "W&B",
    r"\brequests\.(?:post|put|patch|delete)\(": "requests",
    r"\bhttpx\.(?:post|put|patch|delete)\(": "httpx",
    r"\bsmtplib\.": "smtplib",
    r"\bboto3\.": "boto3",
    r"\bgoogle\.cloud\b": "google.cloud",
    r"\bpsycopg2?\.connect|\bpymysql\.connect": "SQL",
    r"\bknockknock\b": "knockknock",
    r"\bkaggle\.api\b|\bkaggle competitions submit": "kaggle",
    r"\bgit push\b": "git push",
    r"\b(?:scp|rsync) \S+ \S+:": "rsync",
}
_SENDER = re.compile("|".join(f"({pattern})" for pattern in _SENDERS))


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


def senders_in(source: str) -> list[str]:
    """What a script uses to tell other machines something, which a trial cannot hold back."""
    names = list(_SENDERS.values())
    found = {names[(match.lastindex or 1) - 1] for match in _SENDER.finditer(source)}
    return sorted(found)
