"""Published weights that are on the Hugging Face Hub, from a Hub on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants, hf_hub_download
from safetensors.torch import save

from save_avs.cli import main
from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.weights.cache import read_record, resolve_weights
from save_avs.weights.fetch import FetchedFile, fetch_weights
from save_avs.weights.registry import pretrained_weights
from tests.support.hub_server import Hub, hub, use_hub, use_hub_cache

NAME, REPOSITORY = "sam-vit-b-hf", "facebook/sam-vit-base"
FILES = {"model.safetensors": save({"a": torch.arange(50_000.0)}), "config.json": b'{"model_type": "sam"}'}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_hub_cache(tmp_path / "hub", monkeypatch)


@pytest.fixture
def server(cache: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub() as found:
        use_hub(found.endpoint, monkeypatch)
        found.name = REPOSITORY
        found.commit(FILES, "main")
        yield found


def fetch(**options) -> list[FetchedFile]:
    return fetch_weights(pretrained_weights()[NAME], **options)


def refusal(kind: type[SaveAvsError], cache: Path, **options) -> str:
    with pytest.raises(kind) as caught:
        fetch(**options)
    assert type(caught.value) is kind and "\n" not in str(caught.value)
    assert not [file for file in cache.rglob("*") if file.is_file() and not file.name.startswith(".")]
    return str(caught.value)


def test_weights_come_through_the_hubs_cache_and_are_stored_once(server, cache, hub_cache):
    seen: dict[str, tuple[int, int | None]] = {}
    files = fetch(on_progress=lambda task, done, total: seen.update({task: (done, total)}))
    assert {file.path.name: file.path.read_bytes() for file in files} == FILES
    assert all(file.new and file.path.parent == cache / NAME for file in files)
    commit = server.revisions["main"]
    for file in files:
        cached = hub_cache / "models--facebook--sam-vit-base" / "snapshots" / commit / file.path.name
        assert cached.samefile(file.path)
        size = len(FILES[file.path.name])
        assert seen[f"fetching {file.path.name}"] == (size, size)
    assert files[0].identity.sha256 == hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    assert read_record(files[0].path) == files[0].identity
    assert resolve_weights(NAME) == files[0].path
    requests = len(server.server.paths)
    assert not fetch()[0].new and len(server.server.paths) == requests


def test_private_and_gated_weights_need_the_token(server, cache, monkeypatch):
    server.token = "hf_secret"
    assert f"No model {REPOSITORY} on" in (line := refusal(SaveAvsError, cache))
    assert "or set HF_TOKEN if it is private; name another source with --from" in line
    server.gated = True
    assert f"accept its terms at {server.endpoint}/{REPOSITORY}, and set HF_TOKEN" in refusal(
        SaveAvsError, cache
    )
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch()[0].new


@pytest.mark.parametrize("by", ["option", "variable"])
def test_offline_uses_the_hubs_cache_and_makes_no_request(server, cache, monkeypatch, by):
    hf_hub_download(REPOSITORY, "model.safetensors")  # as any program does
    hf_hub_download(REPOSITORY, "config.json")
    requests = len(server.server.paths)
    if by == "variable":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = by == "option"
    assert fetch(offline=offline)[0].path.read_bytes() == FILES["model.safetensors"]
    why = "only local files are asked for" if offline else "HF_HUB_OFFLINE is set"
    sources = ["hf:owner/other"]
    for file in (cache / NAME).iterdir():
        file.unlink()
    assert f"hf:owner/other@main is not in {constants.HF_HUB_CACHE}, and {why}" in refusal(
        UsageError, cache, offline=offline, sources=sources
    )
    assert len(server.server.paths) == requests


def test_another_repository_and_revision_can_be_the_source(server, cache, capsys):
    server.name = "owner/mirror"
    server.commit(FILES | {"model.safetensors": save({"a": torch.zeros(9)})}, "v2")
    assert main(["weights", "fetch", NAME, "--from", "hf:owner/mirror@v2"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{cache / NAME / 'model.safetensors'}\n"
    assert Path(said.out.strip()).read_bytes() == server.commits[server.revisions["v2"]]["model.safetensors"]
    assert main(["weights", "fetch", NAME, "--from", "hf:mirror"]) == 2
    assert "write hf:owner/name" in capsys.readouterr().err


def test_download_that_is_not_what_the_hub_lists_is_refused(server, cache):
    def spoil(handler):
        server.server.content = server.server.content[:-1] + b"!"
        handler.wfile.write(handler.start())

    server.downloads = [spoil]
    assert "damaged (its hash is" in refusal(DataError, cache)


def test_file_system_without_links_gets_a_copy(server, cache, monkeypatch):
    def refuse(self: Path, target: Path) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    file = fetch()[0].path
    assert file.read_bytes() == FILES["model.safetensors"] and file.stat().st_nlink == 1
