"""End to end with secrets around: they are nowhere but in what the job itself prints."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from overnight.ledger.state import Failed, Restarting, view

_SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "HF_TOKEN": "hf_ThisIsNoRealTokenButLooksLikeOne",
    "DB_PASSWORD": 'pass"word with \\ and spaces',
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "MLFLOW_TRACKING_URI": "https://me:the-uri-password@mlflow.example.org/x",
    "HTTPS_PROXY": "http://me:the-proxy-password@proxy.example.org:3128",
}
_FROM_DOTENV = "the-secret-of-the-dotenv-file"
_IN_ARGV = "sk-thisIsAnArgumentNotInTheEnvironment123"
_FRAGMENTS = [
    *(value for name, value in _SECRETS.items() if "http" not in value),
    "the-uri-password", "the-proxy-password", _FROM_DOTENV,
    # As JSON would spell it.
    json.dumps(_SECRETS["DB_PASSWORD"])[1:-1],
]  # fmt: skip

_JOB = """
import os, sys, overnight
overnight.init()
overnight.log({"loss": 1.0}, step=0)
want = dict(line.split("=", 1) for line in open("expected"))
for name, value in want.items():
    assert os.environ[name] == value.rstrip("\\n"), name
assert sys.argv[2] == os.environ["WANDB_API_KEY"], "the job gets the real argument"
assert sys.argv[4].startswith("sk-")
token = os.environ["HF_TOKEN"]
raise RuntimeError("login failed for token " + token + " at " + os.environ["MLFLOW_TRACKING_URI"])
"""


def _where(folder: Path, *, skip: set[str]) -> list[str]:
    """Files below ``folder`` that hold any of the secrets."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and str(path) not in skip:
            data = path.read_bytes()
            found += [f"{path}: {each}" for each in _FRAGMENTS if each.encode() in data]
        found += [str(path) for each in _FRAGMENTS if each in path.name]
    return found


def _ps() -> str:
    """What ``ps`` shows of Overnight's own processes."""
    shown = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            comm = (folder / "comm").read_text()
            if comm.startswith("ov-"):
                shown.append((folder / "cmdline").read_bytes().decode() + comm)
        except OSError:
            continue
    return "\n".join(shown)


def test_secrets_reach_the_job_and_nothing_of_ours(workplace) -> None:
    dotenv = workplace.root / ".env"
    dotenv.write_text(f"EXTRA_API_TOKEN={_FROM_DOTENV}\n")
    expected = workplace.root / "expected"
    expected.write_text(
        "".join(f"{k}={v}\n" for k, v in {**_SECRETS, "EXTRA_API_TOKEN": _FROM_DOTENV}.items())
    )
    script = workplace.script(_JOB)
    said = []

    def tell(*words: object) -> None:
        done = workplace.overnight(*words, env=_SECRETS)
        said.append(done.stdout + done.stderr)

    run = workplace.run(
        "--restart", "1", "--env", "HF_TOKEN", "--env", "EXTRA_API_TOKEN", script,
        "--key", _SECRETS["WANDB_API_KEY"], "--api-key", _IN_ARGV, env=_SECRETS,
    )  # fmt: skip
    workplace.until(lambda: isinstance(view(run).state, Restarting))
    assert "login failed" in workplace.log(run), "the job's assertions held"
    shown = _ps()
    assert run.dir in shown
    assert not [each for each in _FRAGMENTS if each in shown]
    tell("stop", run.run_id)
    for verb in ("status", "ls", "wait"):
        tell(verb, *([] if verb == "ls" else [run.run_id]))
        tell(verb, "--json", *([] if verb == "ls" else [run.run_id]))
    tell("resume", run.run_id, "--json")
    state = workplace.ended(run)
    assert isinstance(state, Failed)
    assert state.cause is not None
    assert "login failed" in state.cause["evidence"], "quoted, and clean"
    tell("status", run.run_id)
    assert not [each for each in _FRAGMENTS for text in said if each in text]
    own = {run.log, str(dotenv), str(expected)}
    assert _where(workplace.root, skip=own) == []
    assert _where(workplace.state, skip=set()) == []
    # Not known as a secret by the environment, but by its looks and by the option before it:
    # only what starts the job again, readable by its owner alone, may hold it.
    holders = [
        path for path in workplace.root.rglob("*")
        if path.is_file() and str(path) != run.log and _IN_ARGV.encode() in path.read_bytes()
    ]  # fmt: skip
    assert [str(path) for path in holders] in ([], [run.launch_json])


def test_an_end_written_by_a_reader_quotes_no_secret(workplace) -> None:
    script = workplace.script(
        """
        import os, time
        print("up", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        raise RuntimeError("bad key " + os.environ["WANDB_API_KEY"])
        """
    )
    run = workplace.run(script, env=_SECRETS)
    workplace.kill(workplace.supervisor(run), signal.SIGKILL)
    (workplace.root / "go").touch()
    workplace.until(lambda: not workplace.keeper(run))
    done = workplace.overnight("status", run.run_id, env=_SECRETS)
    assert "bad key" in done.stdout
    assert _SECRETS["WANDB_API_KEY"] not in done.stdout
    assert _where(workplace.root, skip={run.log}) == []
