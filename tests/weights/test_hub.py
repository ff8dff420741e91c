"""Models on a hub: a pinned commit, fetched once, checked; and the folders that a hub takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.models import SAVE, build_save, load_model
from save_avs.models.serialization import CONFIG, WEIGHTS
from save_avs.weights.download import RetryPolicy
from save_avs.weights.hub import HubRepository, fetch_from_hub
from tests.support.file_server import cut
from tests.support.hub_server import Hub, hub
from tests.support.tiny_model import shake, tiny_batch, tiny_config, tiny_model

FILES = (WEIGHTS, CONFIG)
QUICK = RetryPolicy(timeout=2, attempts=2, backoff=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_model()
    shake(model)
    return model.save_pretrained(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.endpoint)
        found.push(folder)
        yield found


def another(folder: Path, into: Path) -> Path:
    """A model with other weights."""
    model = load_model(folder, device="cpu", precision="fp32")
    shake(model, seed=9)
    return model.save_pretrained(into)


def logits(model: SAVE) -> torch.Tensor:
    with torch.inference_mode():
        return model(*tiny_batch())


def test_a_saved_model_is_the_same_when_it_is_loaded(folder):
    again = SAVE.from_pretrained(folder, device="cpu", precision="fp32")
    saved = load_model(folder, device="cpu", precision="fp32")
    assert torch.equal(logits(again), logits(saved)) and again.name == "tiny"
    assert {path.name for path in folder.iterdir()} == {CONFIG, WEIGHTS, "README.md"}


def test_the_card_is_one_that_the_hub_reads(folder):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.library_name == "save-avs" and card.data.pipeline_tag == "image-segmentation"
    assert "audio-visual-segmentation" in card.data.tags


def test_our_hub_is_one_to_its_own_client(server, folder, tmp_path):
    """What the tests below stand on: huggingface_hub downloads from it."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    api = huggingface_hub.HfApi(endpoint=server.endpoint)
    told = api.model_info(server.name, files_metadata=True)
    assert told.sha == server.revisions["main"]
    (weights,) = [file for file in told.siblings if file.rfilename == WEIGHTS]
    assert weights.lfs.sha256 and weights.lfs.size == (folder / WEIGHTS).stat().st_size


def test_a_model_from_a_hub(server, folder, cache):
    model = load_model("hf:owner/tiny", device="cpu", precision="fp32")
    assert torch.equal(logits(model), logits(load_model(folder, device="cpu", precision="fp32")))
    commit = server.revisions["main"]
    assert all(f"/resolve/{commit}/" in path for path in server.files_asked())  # never a moving name
    again = SAVE.from_pretrained("owner/tiny", device="cpu", precision="fp32")
    assert torch.equal(logits(again), logits(model)) and len(server.files_asked()) == 2
    assert (cache / "hub/owner--tiny" / commit / f"{WEIGHTS}.identity.json").is_file()


def test_main_moves_and_a_commit_does_not(server, folder, tmp_path):
    first = server.revisions["main"]
    before = logits(load_model("hf:owner/tiny", device="cpu", precision="fp32"))
    second = server.push(another(folder, tmp_path / "other"))
    after = logits(load_model("hf:owner/tiny", device="cpu", precision="fp32"))
    assert first != second and not torch.equal(before, after)
    pinned = load_model(f"hf:owner/tiny@{first}", device="cpu", precision="fp32")
    assert torch.equal(logits(pinned), before)
    revision = SAVE.from_pretrained("owner/tiny", revision=second, device="cpu", precision="fp32")
    assert torch.equal(logits(revision), after)


def test_a_commit_in_the_cache_asks_nobody(server):
    commit = server.revisions["main"]
    load_model(f"hf:owner/tiny@{commit}", device="cpu")
    asked = len(server.server.paths)
    load_model(f"hf:owner/tiny@{commit}", device="cpu")
    assert len(server.server.paths) == asked


def test_offline_uses_what_is_there(server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match=r"is not in .* and HF_HUB_OFFLINE is set"):
        load_model("hf:owner/tiny", device="cpu")
    assert server.server.paths == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    load_model("hf:owner/tiny", device="cpu")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(server.server.paths)
    assert load_model("hf:owner/tiny", device="cpu").name == "tiny"
    assert len(server.server.paths) == asked


def test_a_file_that_is_not_what_the_hub_tells(server, cache):
    commit = server.revisions["main"]
    content = bytearray(server.commits[commit][WEIGHTS])

    def spoiled(handler):
        content[-1] ^= 1
        server.server.content = bytes(content)
        handler.wfile.write(handler.start())

    server.downloads = [spoiled]
    with pytest.raises(DataError, match="its sha256 is"):
        fetch_from_hub(HubRepository("owner/tiny"), FILES, retry=QUICK)
    assert not (cache / "hub/owner--tiny" / commit / WEIGHTS).exists()


def test_a_file_that_rotted_in_the_cache(server):
    folder = fetch_from_hub(HubRepository("owner/tiny"), FILES)
    (folder / CONFIG).write_text('{"name": "other"}')
    with pytest.raises(DataError, match="remove it and fetch it again"):
        load_model("hf:owner/tiny", device="cpu")


def test_a_cut_download_goes_on(server):
    server.downloads = [cut(0.5), cut(0.5)]
    with pytest.raises(SaveAvsError, match="the connection was cut"):
        fetch_from_hub(HubRepository("owner/tiny"), FILES, retry=QUICK)
    assert load_model("hf:owner/tiny", device="cpu").name == "tiny"
    assert server.server.requests[-2]["Range"].startswith("bytes=")


@pytest.mark.parametrize("name", ["hf:tiny", "hf:owner/tiny@", "hf:../tiny", "hf:a/b/c", "hf:"])
def test_names_that_are_none(name):
    with pytest.raises(UsageError, match="write hf:owner/name or hf:owner/name@revision"):
        load_model(name)


def test_what_the_hub_lacks(server, tmp_path, monkeypatch):
    with pytest.raises(SaveAvsError, match="has no model owner/other with a revision main"):
        load_model("hf:owner/other")
    with pytest.raises(SaveAvsError, match="has no model owner/tiny with a revision v2"):
        load_model("hf:owner/tiny@v2")
    (tmp_path / "text").mkdir()
    (tmp_path / "text/README.md").write_text("words")
    server.push(tmp_path / "text")
    with pytest.raises(UsageError, match=r"is no SAVE: it has no model\.safetensors"):
        load_model("hf:owner/tiny")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SaveAvsError, match=r"cannot be reached .* HF_HUB_OFFLINE=1 uses"):
        load_model("hf:owner/tiny")


def test_a_model_without_a_config_says_so(tmp_path):
    model = build_save(tiny_config())
    model.config = None
    with pytest.raises(UsageError, match="has no config"):
        model.save_pretrained(tmp_path)
