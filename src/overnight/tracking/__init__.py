"""Runs looked up, named, opened and closed from Python, whatever trackers they go to.

::

    from overnight.tracking import get_latest_runs, init_run

    for run in get_latest_runs(5, state="finished", tags=["baseline"]):
        print(run.name, run.metrics.get("macro_f1"))

    with init_run("baseline", config={"lr": 3e-4}, tags=["resnet"]) as run:
        run.log({"loss": 0.31}, step=1)

Runs are found in the local index, at once and without a network; with ``source="wandb"`` or
``"mlflow"`` that tracker is asked.
"""

from overnight.tracking.opened import OpenRun as OpenRun
from overnight.tracking.opened import finish_run as finish_run
from overnight.tracking.opened import init_run as init_run
from overnight.tracking.opened import init_wandb as init_wandb
from overnight.tracking.opened import save_model_artifact as save_model_artifact
from overnight.tracking.runs import Run as Run
from overnight.tracking.runs import get_latest_runs as get_latest_runs
from overnight.tracking.runs import get_runs as get_runs
from overnight.tracking.setup import WandbConfig as WandbConfig
from overnight.tracking.setup import auto_increment_run_suffix as auto_increment_run_suffix
from overnight.tracking.setup import create_run_name as create_run_name
from overnight.tracking.setup import get_experiment_name as get_experiment_name
from overnight.tracking.setup import get_wandb_config as get_wandb_config
from overnight.tracking.setup import validate_config as validate_config
