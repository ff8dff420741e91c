"""What all tests share: small videos, made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.sample_videos import make_video

# What a test starts as a program of its own finds tests.support too.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])
)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 10 fps: a white square that moves over black, a tone in the first half."""
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4")


@pytest.fixture(scope="session")
def mute_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for a second, without a sound track."""
    return make_video(tmp_path_factory.mktemp("video") / "mute.mp4", frames=10, sound=False)
