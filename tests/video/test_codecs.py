from __future__ import annotations

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
