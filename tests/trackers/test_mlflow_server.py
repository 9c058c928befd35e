"""An MLflow server that fails in every way: it costs time, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.outbox.message import waiting
from overnight.outbox.standing import Standing, standing
from overnight.testing.foreign_mlflow import ForeignMlflow

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignMlflow]:
    made = ForeignMlflow(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server(process: ForeignMlflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForeignMlflow]:
    from overnight.trackers import mlflow

    monkeypatch.setitem(mlflow._HTTP, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setitem(mlflow._HTTP, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in mlflow._HTTP:
        monkeypatch.setenv(name, "")
    yield process
    process.fail("")


def there(run: RunPaths) -> Standing:
    [found] = standing(run)
    return found


@pytest.mark.parametrize("when", ["start", "middle", "end"])
@pytest.mark.parametrize("how", ["refused", "frozen", "500", "half"])
def test_whatever_it_does_every_number_is_there_once(
    bench: Any, server: ForeignMlflow, how: str, when: str
) -> None:
    run = bench.run({"name": "mlflow", "address": server.address}, name=f"{how}-{when}")
    number = 0
    for stage in ("start", "middle", "end"):
        bench.write(run, *({"step": n, "loss": n / 7} for n in range(number, number + 20)))
        number += 20
        if stage == "end":
            bench.end(run)
        if stage == when:
            server.fail(how)
            bench.mirror(run)
            found = there(run)
            assert (found.closed, found.failures) == (False, 1)
            # What keeps it, and until when, is said to whoever asks.
            assert "mlflow" in found.trouble
            assert "nothing is lost" in found.trouble
            assert not found.fix
            assert found.retry_s > 0
            assert found.left + found.sent == number
            server.fail("")
        if stage == "end":
            bench.mirror(run)
        else:
            bench.mirror_while(run, lambda: True)
            assert there(run).failures == 0
    [kept] = [each for each in server.runs() if each["info"]["run_name"] == run.run_id]
    sent = Counter((key, step, value) for key, value, _, step in kept["metrics"])
    assert sent == Counter(("loss", n, n / 7) for n in range(number))
    assert kept["info"]["status"] == "FINISHED"
    assert there(run).closed
    assert not there(run).trouble
    assert not track.asked()
    where = kept["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert (server.folder / "artifacts" / where / "config" / "config.yaml").exists()


def test_a_wrong_key_is_told_once(bench: Any, server: ForeignMlflow) -> None:
    runs = [bench.run({"name": "mlflow", "address": server.address}) for _ in range(2)]
    for run in runs:
        asked = {"schema": 1, "channels": ["phone", "mail"]}
        files.replace(run.notify_json, files.to_json(asked))
        bench.write(run, {"step": 1, "loss": 1.0})
        track.ask(run)
    server.fail("401")
    for again in (False, True):
        bench.mirror(runs[0], again=again)
    told = waiting(bench.paths)
    assert sorted(message.channel for message in told) == ["mail", "mail", "phone", "phone"]
    assert all("MLFLOW_TRACKING_TOKEN" in message.facts["text"] for message in told)
    for run in runs:
        assert "MLflow refuses us" in there(run).trouble
        assert there(run).fix
        assert there(run).retry_s > 3000
    server.fail("")
    for run in runs:
        bench.end(run)
        bench.mirror(run, again=True)
        assert there(run).closed
        assert not there(run).trouble


@pytest.mark.parametrize("status", ["401", "500"])
def test_one_run_that_fails_keeps_no_other_one(
    bench: Any, server: ForeignMlflow, status: str
) -> None:
    tracker = {"name": "mlflow", "address": server.address}
    runs = [bench.run({**tracker, "project": f"{status}-{n}"}) for n in range(3)]
    for run in runs:
        bench.write(run, {"step": 1, "loss": 1.0})
        bench.end(run)
        track.ask(run)
    first = runs.index(min(runs, key=lambda each: bench.paths.mirrored(each.dir, "mlflow")))
    server.fail(f"{status} {status}-{first}")
    bench.mirror(runs[first])
    assert [there(run).closed for run in runs] == [n != first for n in range(3)]
    assert [request.run.dir for request in track.asked()] == [runs[first].dir]
    assert there(runs[first]).trouble
    assert there(runs[first]).retry_s > 0
    server.fail("")
    bench.mirror(runs[first], again=True)
    assert there(runs[first]).closed
