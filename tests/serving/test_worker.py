"""A worker's own part, in this process: what it says of models that it cannot load."""

from __future__ import annotations

import shutil
from multiprocessing import Pipe

import pytest

from save_avs.errors import UsageError
from save_avs.serving import service, worker
from save_avs.serving.job import Job, JobOptions
from save_avs.serving.limits import Limits
from save_avs.serving.worker import Ready, Unfit, WorkerConfig
from tests.support.service import Idle


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)


def loaded(*models: object):
    here, there = Pipe()
    worker._load(there, WorkerConfig(models=tuple(map(str, models)), device="cpu", limits=Limits()))
    return here.recv()


def test_what_it_says_of_its_models(tiny, tmp_path):
    said = loaded(tiny)
    assert isinstance(said, Ready) and said.models[0]["name"] == "tiny"
    said = loaded(tiny, "nowhere")
    assert isinstance(said, Unfit) and said.usage and "no model 'nowhere'" in said.reason
    broken = shutil.copytree(tiny, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"torn")
    said = loaded(broken)
    assert isinstance(said, Unfit) and not said.usage


def test_two_models_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Idle, "models", ({"name": "tiny"}, {"name": "tiny"}))
    monkeypatch.setattr(service, "Keeper", Idle)
    own = service.Service(tmp_path, WorkerConfig(models=("a", "b"), limits=Limits()))
    with pytest.raises(UsageError, match="two models call themselves by one name: tiny, tiny"):
        own.start()
    own.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "memory"),
        (OSError(28, "No space left on device"), "system"),
        (KeyError(1), "internal"),
    ],
)
def test_errors_of_the_program_are_told_without_its_insides(error, code, tiny, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(worker, "_segment", fail)
    equipment = WorkerConfig(models=(), limits=Limits())
    problem = worker._attempt(Pipe()[1], equipment, {}, Job(name="a.mp4", options=JobOptions()), tmp_path)
    assert problem is not None and problem.code == code and str(tmp_path) not in problem.message
