"""The self-test of the codecs."""

from __future__ import annotations

from save_avs.video import codecs


def test_a_codec_counts_only_when_its_output_can_be_read_back(monkeypatch):
    monkeypatch.setitem(codecs._VIDEO_CODECS, "H.264", ("mp4", "rawvideo", "yuv420p", {}))
    assert codecs.check_codecs()["H.264"]
