"""What all tests share: small videos, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_in import make_video


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 10 fps: a white square that moves over black, a tone in the first half."""
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4")


@pytest.fixture(scope="session")
def mute_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for a second, without a sound track."""
    return make_video(tmp_path_factory.mktemp("video") / "mute.mp4", frames=10, sound=False)
