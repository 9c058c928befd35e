"""``overnight train``: what a config asks for, supervised; the terminal may look on."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

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
    Trials,
    announce,
    pairs,
    parse_stall_after,
    variables,
)
from overnight.cli.output import print_json
from overnight.errors import UserError
from overnight.messages import say

if TYPE_CHECKING:
    from overnight.spec import Spec


def register(app: typer.Typer) -> None:
    """Adds ``train``."""

    @app.command(help=say("train.help"))
    def train(
        target: Annotated[str, typer.Argument(help=say("train.config"), show_default=False)] = "",
        config: Annotated[
            str, typer.Option("--config", "-c", metavar="FILE", help=say("train.config"))
        ] = "",
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=say("train.set"))
        ] = None,
        mode: Annotated[str | None, typer.Option(help=say("train.mode"))] = None,
        optimize: Annotated[bool, typer.Option("--optimize", help=say("train.optimize"))] = False,
        n_trials: Trials = None,
        optuna_config: OptunaConfig = "",
        use_calibration: Annotated[
            bool, typer.Option("--use-calibration", help=say("train.use_calibration"))
        ] = False,
        auto_continue: Annotated[
            bool, typer.Option("--auto-continue", help=say("train.auto_continue"))
        ] = False,
        skip_training: Annotated[
            bool, typer.Option("--skip-training", help=say("train.skip_training"))
        ] = False,
        until: Annotated[str | None, typer.Option(metavar="07:00", help=say("train.until"))] = None,
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
        from overnight.start import Asked, Wanted, start_training

        problems: list[UserError] = []
        path = _config(target, config, problems)
        asked = Asked(
            target=path,
            name=name,
            overrides=pairs(set_ or (), "--set", problems),
            env=variables(env or ()),
            restart=restart,
            stall_after_s=parse_stall_after(stall_after, problems),
            labels=label or (),
            kind="train",
            root=root,
            notify=notify or (),
            alerts=alert or (),
            heartbeat=heartbeat,
            format=format_,
            track=track or (),
            wanted=Wanted(
                mode=mode,
                optimize=optimize,
                n_trials=n_trials,
                optuna_config=optuna_config,
                use_calibration=use_calibration,
                auto_continue=auto_continue,
                skip_training=skip_training,
                until=until,
            ),
        )
        if not path:
            raise problems[0]
        started = start_training(asked, problems)
        if json:
            print_json(
                "train",
                run_id=started.run.run_id,
                name=started.name,
                kind=started.run.kind,
                dir=started.run.dir,
                log=started.run.log,
                job_pid=started.job_pid,
            )
            return None
        announce(started)
        if started.spec is not None:
            _say_what_is_to_be_done(started.spec)
        if detach:
            return None
        from overnight.cli.follow import follow

        return follow(started.run)


def _config(target: str, option: str, problems: list[UserError]) -> str:
    """The config that was named, as an option or without one; empty where none can be meant."""
    path = option or target
    if target and option:
        problems.append(UserError("train.two_configs", where=f"{target} {option}", path=option))
    if not path:
        problems.append(UserError("train.no_config", where="--config"))
    elif os.path.splitext(path)[1].lower() not in (".yaml", ".yml"):
        problems.append(UserError("train.not_yaml", where=path, path=path))
        return ""
    return path


def _say_what_is_to_be_done(spec: Spec) -> None:
    steps = []
    for stage in spec.stages:
        match stage:
            case "tune":
                assert spec.tuning is not None
                steps.append(say("train.todo_tune", num=spec.tuning.n_trials))
            case "train":
                steps.append(_training(spec.data))
            case _:
                steps.append(say(f"train.todo_{stage}"))
    text = " → ".join(steps)
    if spec.until is not None:
        moment = datetime.fromisoformat(spec.until).astimezone()
        text += ", " + say("train.todo_until", moment=f"{moment:%Y-%m-%d %H:%M %Z}")
    print(say("train.todo", steps=text))
    if spec.kind == "pipeline" and "predict" not in spec.stages:
        print(f"! {say('train.no_test')}\n  → {say('train.no_test.fix')}", file=sys.stderr)


def _training(data: Any) -> str:
    num, one = getattr(data, "folds", 1), getattr(data, "valid_fold", "all")
    if one == "all":
        return say("train.todo_folds", num=num)
    return say("train.todo_one", fold=one, num=num)
