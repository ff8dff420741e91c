"""Twelve videos, one of them broken, and the results of an undisturbed run."""

from __future__ import annotations

from pathlib import Path

import pytest

from save_avs.models.serialization import save_model
from tests.support.batch_runs import run_in_process
from tests.support.sample_videos import make_video
from tests.support.tiny_model import shake, tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A model folder."""
    model = tiny_model()
    shake(model)
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """Eleven videos, and a text file with a video's name."""
    folder = tmp_path_factory.mktemp("archive")
    for i in range(11):
        make_video(folder / f"clip-{i:02}.mp4", frames=6 + i, size=(96 - 4 * i, 64), sound=i != 7)
    (folder / "clip-11.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="session")
def ray_here():
    """Ray with four logical CPUs, as a program that embeds ours may have started it."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def undisturbed(ray_here, archive, tiny, tmp_path_factory) -> Path:
    """The output of one worker that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run_in_process(archive, tiny, folder) == 3
    return folder
