"""``overnight predict``: a model's answers for a folder, a table or images, supervised."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from overnight.cli.asked import (
    Alert,
    Env,
    Format,
    Heartbeat,
    Json,
    Label,
    Name,
    Notify,
    Restart,
    Root,
    StallAfter,
    Track,
    announce,
    pairs,
    parse_stall_after,
    variables,
)
from overnight.cli.output import print_json
from overnight.errors import RunNotFound, UserError
from overnight.messages import say


def register(app: typer.Typer) -> None:
    """Adds ``predict``."""

    @app.command(help=say("predict.help"))
    def predict(
        input: Annotated[
            list[str] | None, typer.Argument(help=say("predict.input"), show_default=False)
        ] = None,
        from_: Annotated[
            str, typer.Option("--from", metavar="MODEL", help=say("predict.from"))
        ] = "",
        config: Annotated[
            str, typer.Option("--config", "-c", metavar="FILE", help=say("predict.config"))
        ] = "",
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=say("predict.set"))
        ] = None,
        sample: Annotated[
            str, typer.Option("--sample", metavar="FILE", help=say("predict.sample"))
        ] = "",
        tta: Annotated[
            str | None, typer.Option(metavar="none|flip|crops", help=say("predict.tta"))
        ] = None,
        unreadable: Annotated[
            str | None, typer.Option(metavar="refuse|default", help=say("predict.on_unreadable"))
        ] = None,
        batch_size: Annotated[
            int | None, typer.Option(metavar="N", help=say("predict.batch"))
        ] = None,
        detach: Annotated[bool, typer.Option("--detach", "-d", help=say("train.detach"))] = False,
        name: Name = None,
        env: Env = None,
        restart: Restart = 0,
        stall_after: StallAfter = None,
        label: Label = None,
        notify: Notify = None,
        alert: Alert = None,
        heartbeat: Heartbeat = None,
        format_: Format = None,
        track: Track = None,
        root: Root = None,
        json: Json = False,
    ) -> int | None:
        from overnight.start import Asked
        from overnight.start.predict import Wanted, start

        problems: list[UserError] = []
        asked = Asked(
            target=config,
            name=name,
            overrides=pairs(set_ or (), "--set", problems),
            env=variables(env or ()),
            restart=restart,
            stall_after_s=parse_stall_after(stall_after, problems),
            labels=label or (),
            kind="infer",
            root=root,
            notify=notify or (),
            alerts=alert or (),
            heartbeat=heartbeat,
            format=format_,
            track=track or (),
        )
        wanted = Wanted(
            inputs=input or (),
            model=model_word(from_, root),
            sample=sample,
            tta=tta,
            unreadable=unreadable,
            batch_size=batch_size,
        )
        started = start(asked, wanted, problems)
        run = started.run
        if json:
            print_json(
                "predict",
                run_id=run.run_id,
                name=started.name,
                dir=run.dir,
                log=run.log,
                job_pid=started.job_pid,
                submission=run.at("submission.csv"),
            )
            return None
        announce(started)
        if detach:
            return None
        from overnight.cli.follow import follow

        return follow(run)


def model_word(word: str, root: str | None = None) -> str:
    """``--from`` as ``start.predict`` takes it: what means a run becomes the run's folder.

    Raises:
        RunNotFound: It is no word of ours, no folder, and no run answers to it.
    """
    from overnight.model_folder import CARD
    from overnight.plugins import nearest
    from overnight.start.predict import LATEST

    folder = os.path.expanduser(word)
    is_place = os.sep in word or os.path.isfile(os.path.join(folder, CARD))
    if is_place or word in ("", LATEST) or re.fullmatch(r"\d{8}", word):
        return word
    from overnight.cli.select import find

    # The newest of a name may have failed, and an older one have a model.
    try:
        return find(word, root=root, fits=lambda run: os.path.isfile(run.at("model", CARD))).dir
    except RunNotFound:
        if not LATEST.startswith(word) and nearest(word, [LATEST]) is None:
            raise
        return word
