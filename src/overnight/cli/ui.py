"""``overnight ui``: MLflow's page of a root, on loopback, with a token."""

from __future__ import annotations

import os
import re
import secrets
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from overnight.cli.output import echo, print_json
from overnight.errors import UserError
from overnight.ledger import files
from overnight.ledger.paths import find_root
from overnight.messages import say


def register(app: typer.Typer) -> None:
    """Adds ``ui``."""

    @app.command(help=say("track.ui_help"))
    def ui(
        port: Annotated[int, typer.Option(min=0, max=65535, help=say("track.ui_port"))] = 0,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        folder = Path(find_root(os.getcwd(), root))
        newest = _newest(folder)
        if "://" in newest and not (folder / "mlflow.db").exists():
            if json:
                print_json("ui", url=newest)
            else:
                echo(say("track.ui_elsewhere", url=newest))
            return
        # The client alone has the name too, but not what the page is made with.
        if find_spec("mlflow") is None or find_spec("flask") is None:
            raise UserError("track.ui_missing", where="overnight ui")
        if not (folder / "mlflow.db").exists():
            raise UserError("track.ui_nothing", where=folder)
        from overnight.trackers.mlflow import database
        from overnight.trackers.mlflow_page import free_socket, serve

        try:
            listening = free_socket(port)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise UserError("track.ui_port_taken", where=f"--port {port}", reason=reason) from None
        token = secrets.token_urlsafe(24)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"
        url = address + _first_page(newest)
        if json:
            print_json("ui", url=url)
        else:
            echo(say("track.ui_at", url=url))
        # What MLflow is deprecated for is nothing that whoever looks at it could change.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*deprecated", module="mlflow")
        serve(database(folder), folder, listening, token)


def _newest(root: Path) -> str:
    """Where the run is that was taken to MLflow last; empty where none was."""
    cursors = (root / "experiments").glob("*/[0-9]*/*/cursors/mlflow.json")
    for cursor in sorted(cursors, key=lambda path: path.stat().st_mtime, reverse=True):
        if url := (files.read_json(str(cursor)) or {}).get("url"):
            return str(url)
    return ""


def _first_page(run_url: str) -> str:
    """The runs beside that one: MLflow's own first page shows none.

    A browser keeps what stands behind ``#`` when the token is taken out of the address.
    """
    found = re.fullmatch(r"mlflow\.db(#/experiments/\d+)/runs/\w+", run_url)
    return f"{found[1]}/runs?workflowType=machine_learning" if found else ""
