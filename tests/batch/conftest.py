"""An archive of twelve clips, one of them broken, and what an undisturbed run makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from save_avs.cli import main
from save_avs.models.serialization import save_model
from tests.support.sample_videos import make_video
from tests.support.tiny_model import shake, tiny_config, tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A model's folder."""
    model = tiny_model()
    shake(model)
    return save_model(model, tiny_config(), tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """Eleven clips, and a text that calls itself one."""
    folder = tmp_path_factory.mktemp("archive")
    for i in range(11):
        make_video(folder / f"clip-{i:02}.mp4", frames=6 + i, size=(96 - 4 * i, 64), sound=i != 7)
    (folder / "clip-11.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="session")
def undisturbed(archive, tiny, tmp_path_factory) -> Path:
    """Results of one worker that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    line = ["segment", "--engine", "local", "--workers", "1", str(archive), "-o", str(folder)]
    assert main([*line, "--model", str(tiny)]) == 3
    return folder
