"""``overnight tune``: a search over a config's keys or a script's options, supervised."""

from __future__ import annotations

import sys
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
    OptunaConfig,
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
from overnight.errors import UserError
from overnight.messages import say


def register(app: typer.Typer) -> None:
    """Adds ``tune``."""

    @app.command(help=say("sweep.help"), no_args_is_help=True)
    def tune(
        words: Annotated[
            list[str] | None, typer.Argument(metavar="[TARGET] [-- ARGS]", help=say("sweep.target"))
        ] = None,
        config: Annotated[
            str, typer.Option("--config", "-c", metavar="FILE", help=say("sweep.config"))
        ] = "",
        script: Annotated[
            str, typer.Option("--script", metavar="FILE", help=say("sweep.script"))
        ] = "",
        sweep: Annotated[str, typer.Option(metavar="FILE", help=say("sweep.sweep"))] = "",
        optuna_config: OptunaConfig = "",
        n_trials: Annotated[
            str | None, typer.Option("--n-trials", metavar="N", help=say("sweep.n_trials"))
        ] = None,
        workers: Annotated[str | None, typer.Option(metavar="N", help=say("sweep.workers"))] = None,
        backend: Annotated[
            str, typer.Option(metavar="optuna|wandb", help=say("sweep.backend"))
        ] = "optuna",
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=say("sweep.set"))
        ] = None,
        python: Annotated[str | None, typer.Option(help=say("sweep.python"))] = None,
        detach: Annotated[bool, typer.Option("--detach", "-d", help=say("sweep.detach"))] = False,
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
        from overnight.start.tune import Search, start

        problems: list[UserError] = []
        target, args = _target(list(words or ()), config, script, sweep, problems)
        asked = Asked(
            target=target,
            args=args,
            name=name,
            overrides=pairs(set_ or (), "--set", problems),
            env=variables(env or ()),
            python=python,
            restart=restart,
            stall_after_s=parse_stall_after(stall_after, problems),
            labels=label or (),
            kind="optimization",
            root=root,
            notify=notify or (),
            alerts=alert or (),
            heartbeat=heartbeat,
            format=format_,
            track=track or (),
        )
        search = Search(
            sweep=sweep or optuna_config, n_trials=n_trials, workers=workers, backend=backend
        )
        begun = start(asked, search, problems)
        started = begun.started
        if json:
            print_json(
                "tune",
                run_id=started.run.run_id,
                name=started.name,
                kind=started.run.kind,
                dir=started.run.dir,
                log=started.run.log,
                job_pid=started.job_pid,
            )
            return None
        for unused in begun.unused:
            print(f"! {unused}", file=sys.stderr)
        announce(started)
        if begun.page:
            print(say("sweep.page", url=begun.page))
        if detach:
            return None
        from overnight.cli.follow import follow

        return follow(started.run)


def _target(
    words: list[str], config: str, script: str, sweep: str, problems: list[UserError]
) -> tuple[str, list[str]]:
    """What is searched, and what a script is given; where nothing is, the mistake is noted."""
    if config and script:
        problems.append(
            UserError("sweep.two_targets", where=f"--config {config} --script {script}")
        )
    target = config or script
    # Without either the first word is the target; a sweep file may name its program instead.
    if not target and words and not (sweep and words[0].startswith("-")):
        target = words.pop(0)
    if not target and not sweep:
        problems.append(UserError("sweep.nothing"))
    if config and words:
        problems.append(UserError("sweep.args_of_config", where=" ".join(words)))
    return target, words
