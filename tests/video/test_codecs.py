from __future__ import annotations

import os

import pytest

from save_avs.video import codecs
from save_avs.video.codecs import check_codecs


def test_codecs_of_the_videos_we_write_work():
    failures = check_codecs()
    assert [failures[name] for name in ("H.264", "AAC", "ProRes 4444")] == ["", "", ""]


@pytest.mark.parametrize("encoder", ["no-such-encoder", "rawvideo"])  # mp4 cannot hold raw video
def test_failed_codec_has_a_reason(monkeypatch, encoder):
    monkeypatch.setattr(codecs, "_CODECS", {"H.264": ("mp4", encoder, "yuv420p")})
    assert check_codecs()["H.264"]


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no scheduling policies on this system")
def test_check_of_codecs_keeps_the_scheduling_policy():
    before = os.sched_getscheduler(0)  # as root, SVT-AV1 would leave SCHED_FIFO 99
    check_codecs()
    assert os.sched_getscheduler(0) == before
