"""`save-avs weights`, as it is typed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from save_avs.cli import main
from save_avs.models.sam import load_sam
from save_avs.weights.registry import PretrainedWeights, WeightsFile, pretrained_weights
from tests.support.tiny_model import tiny_model


@pytest.fixture
def sam(tmp_path: Path) -> Path:
    torch.save(tiny_model(image_adapter=None).sam.state_dict(), tmp_path / "sam.pth")
    return tmp_path / "sam.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def known(sam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(sam.read_bytes()).hexdigest()
    file = WeightsFile(file="small.pth", url="http://127.0.0.1:9/", size=sam.stat().st_size, sha256=sha256)
    known = PretrainedWeights(
        name="small", description="a small SAM", files=(file,), sha256_source="a manifest", license="none"
    )
    monkeypatch.setitem(pretrained_weights(), "small", known)


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """What the program says when it fails: its last line, the only one it adds."""
    capsys.readouterr()
    assert main(["weights", *arguments]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("save-avs: ")
    return lines[-1]


def test_the_list_names_all_and_where_hashes_come_from(cache, capsys):
    (cache / "vggish").mkdir(parents=True)
    (cache / "vggish" / "vggish-10086976.pth").touch()
    assert main(["weights", "list"]) == 0
    out = capsys.readouterr().out
    assert f"cache: {cache}" in out
    assert all(f"\n{name}: " in out for name in pretrained_weights())
    assert out.count("from a third party's manifest") == 3 and out.count("in the cache") == 1
    assert "288.6 MB; Apache-2.0; in the cache" in out


def test_fetching_prints_the_path_alone_on_stdout(known, sam, cache, capsys):
    assert main(["weights", "fetch", "small", "--from", str(sam), "--offline"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{cache / 'small' / 'small.pth'}\n"
    assert "small.pth: fetched, sha256 " in said.err and "checked: a manifest" in said.err
    assert main(["weights", "fetch", "small", "--offline"]) == 0
    assert "already in the cache" in capsys.readouterr().err


def test_failures_are_one_line_with_their_exit_code(known, sam, tmp_path, capsys):
    assert "choose from sam-vit-b" in fails(capsys, 2, "fetch", "sam-vit-g")
    assert "--offline forbids a download" in fails(capsys, 2, "fetch", "small", "--offline")
    assert "only http, https and file" in fails(capsys, 2, "fetch", "small", "--from", "ftp://x/y")
    (tmp_path / "stub").write_text("x" * 61)
    assert "it is not a weight file but text" in fails(
        capsys, 3, "fetch", "small", "--from", str(tmp_path / "stub")
    )
    assert "no such file" in fails(capsys, 2, "verify", str(tmp_path / "nowhere"))
    assert 'not a weight file but text ("xxx' in fails(capsys, 3, "verify", str(tmp_path / "stub"))


def test_verify_describes_a_checkpoint(known, sam, capsys):
    assert main(["weights", "verify", str(sam)]) == 0
    out = capsys.readouterr().out
    assert "holds   SAM 32 wide, 3 blocks" in out and "known   small (a manifest)" in out
    assert hashlib.sha256(sam.read_bytes()).hexdigest() in out
    assert out.endswith("complete\n")


def test_convert_writes_safetensors(sam, tmp_path, capsys):
    target = tmp_path / "sam.safetensors"
    assert main(["weights", "convert", str(sam), str(target)]) == 0
    assert capsys.readouterr().out == f"SAM 32 wide, 3 blocks, at 64 px (no published size): {target}\n"
    assert torch.equal(load_sam(target).image_encoder.pos_embed, load_sam(sam).image_encoder.pos_embed)
    assert "already exists" in fails(capsys, 2, "convert", str(sam), str(target))
    assert "must be named .safetensors" in fails(capsys, 2, "convert", str(sam), str(tmp_path / "sam.pth"))


def test_list_and_fetch_do_not_import_torch():
    code = (
        "import sys; from save_avs.cli import main;"
        "codes = main(['weights', 'list']), main(['weights', 'fetch', 'vggish', '--offline']);"
        "heavy = {'torch'} & set(sys.modules);"
        "sys.exit(f'{codes} {heavy}' if heavy or codes != (0, 2) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
