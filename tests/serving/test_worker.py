"""The worker's own part, in this process: what it reports about models, and errors it hides from clients."""

from __future__ import annotations

import shutil
from multiprocessing import Pipe

import pytest

from save_avs._process import Channel
from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving import service, worker, worker_pool
from save_avs.serving.config import ServiceLimits, WorkerConfig
from tests.support.service import IdleWorker


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)


def load(*models: object):
    names = tuple(map(str, models))
    return worker.set_up(
        Channel(Pipe()[1]), WorkerConfig(models=names, device="cpu", limits=ServiceLimits())
    )[0]


def test_a_worker_reports_its_models(tiny):
    assert [model["name"] for model in load(tiny)] == ["tiny"]


def test_a_missing_model_is_a_usage_error(tiny):
    with pytest.raises(UsageError, match="'nowhere'"):
        load(tiny, "nowhere")


def test_damaged_weights_are_no_usage_error(tiny, tmp_path):
    broken = shutil.copytree(tiny, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(SaveAvsError) as error:
        load(broken)
    assert not isinstance(error.value, UsageError)


def test_two_models_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(IdleWorker, "models", ({"name": "tiny"}, {"name": "tiny"}))
    monkeypatch.setattr(worker_pool, "WorkerProcess", IdleWorker)
    own = service.Service(tmp_path, WorkerConfig(models=("a", "b"), limits=ServiceLimits()))
    with pytest.raises(UsageError, match=r"Duplicate model name\(s\): tiny, tiny"):
        own.start()
    own.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "memory"),
        (OSError(28, "No space left on device", "/srv/jobs"), "system"),
        (KeyError("/srv/jobs"), "internal"),
    ],
)
def test_an_unexpected_error_is_reported_without_internals(error, code):
    def fail():
        raise error

    problem = worker._attempt(fail)
    assert problem is not None and problem.code == code and "/srv" not in problem.message
