"""`save-avs doctor`: what is found is what is there."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import pytest

from save_avs.cli import main
from save_avs.doctor import Finding, software
from save_avs.video import codecs


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def document(capsys) -> dict:
    code = main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["ok"] else 1)
    return found


def test_it_tells_what_is_there(cache, capsys):
    place = cache / "vggish"
    place.mkdir(parents=True)
    (place / "vggish-10086976.pth").write_bytes(bytes(3_000_000))
    found = document(capsys)
    assert found["ok"] and found["problems"] == []
    assert found["software"]["av"] == version("av")
    assert found["software"]["python"].startswith(sys.version.split()[0])
    assert found["codecs"]["H.264"] and found["codecs"]["AAC"]
    assert found["cache"] == found["cache"] | {"folder": str(cache), "holds": "0.003 GB"}
    assert found["weights"]["vggish"] and not found["weights"]["sam-vit-b"]
    assert "save-avs weights fetch sam-vit-b" in found["hints"]
    assert found["model"]["save-tiny"].startswith("runs")


def test_people_read_lines(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "\nmachine\n" in out and "H.264" in out and "True" not in out


def test_a_missing_extra_comes_with_its_line(monkeypatch):
    monkeypatch.setattr(
        software, "_requirements", lambda: ["numpy>=1", "nowhere>=2; extra == 'some'", 'av; extra == "other"']
    )
    assert list(software.extras()) == [
        Finding("extras", "other", f"av {version('av')}"),
        Finding("extras", "some", None, hint="pip install 'save-avs[some]'"),
    ]


def test_without_h264_it_fails(monkeypatch, capsys):
    monkeypatch.setitem(codecs._VIDEO_CODECS, "H.264", ("mp4", "no-such-encoder", "yuv420p", {}))
    assert main(["doctor"]) == 1
    assert "save-avs: H.264 cannot be written" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_to_is_a_problem(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "file" / "cache"))
    found = document(capsys)
    assert "set SAVE_AVS_CACHE" in found["problems"][0]


def test_a_codec_counts_only_when_it_can_be_read_back(monkeypatch):
    monkeypatch.setitem(codecs._VIDEO_CODECS, "H.264", ("mp4", "rawvideo", "yuv420p", {}))
    assert codecs.check_codecs()["H.264"]
