"""`save-avs doctor`."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import pytest

from save_avs.cli import doctor, main
from save_avs.cli.doctor import Diagnostic


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def document(capsys) -> dict:
    code = main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["ok"] else 1)
    return found


def test_json_holds_versions_codecs_cache_weights_and_the_model(cache, capsys):
    (cache / "vggish").mkdir(parents=True)
    (cache / "vggish" / "vggish-10086976.pth").write_bytes(bytes(3_000_000))
    found = document(capsys)
    assert found["ok"] and found["problems"] == []
    assert found["software"]["av"] == version("av")
    assert found["software"]["python"].startswith(sys.version.split()[0])
    assert found["codecs"]["H.264"] and found["codecs"]["AAC"]
    assert found["cache"] == found["cache"] | {"folder": str(cache), "size": "0.003 GB"}
    assert found["weights"]["vggish"] and not found["weights"]["sam-vit-b"]
    assert "save-avs weights fetch sam-vit-b" in found["hints"]
    assert found["model"]["save-small"].startswith("runs")


def test_lines_end_with_a_verdict_and_weights_not_fetched_are_no_failure(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "\nmachine\n" in out and "H.264" in out and "True" not in out
    assert out.endswith("\nThis installation can segment videos.\n")
    (line,) = [line for line in out.splitlines() if line.startswith("  vggish ")]
    assert line.split(maxsplit=1)[1] == "not fetched: save-avs weights fetch vggish"


def test_an_extra_with_missing_packages_has_its_pip_line(monkeypatch):
    monkeypatch.setattr(doctor, "extras", lambda: {"some": ["nowhere>=2"], "other": ["av"]})
    monkeypatch.setattr(doctor, "install_line", "pip install {}".format)
    assert list(doctor._extras()) == [
        Diagnostic("extras", "other", f"av {version('av')}"),
        Diagnostic("extras", "some", None, hint="pip install some"),
    ]


def test_without_h264_the_verdict_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(
        "save_avs.video.codecs.check_codecs", lambda: {"H.264": "no such encoder", "AAC": None}
    )
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert err == "save-avs: H.264 cannot be written (no such encoder): reinstall av\n"
    assert out.splitlines()[-1].startswith("This installation cannot segment videos: H.264 cannot be written")


def test_a_cache_that_is_not_writable_is_a_problem(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "file" / "cache"))
    assert "set SAVE_AVS_CACHE" in document(capsys)["problems"][0]
