"""Models on the Hugging Face Hub, from a Hub on this machine."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin as Mixin
from huggingface_hub import constants

import save_avs
from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.models import SAVE, save_model
from save_avs.models.serialization import CONFIG, WEIGHTS
from save_avs.runtimes import load_model
from save_avs.weights.hub import HubRepository, fetch_from_hub
from tests.support.file_server import cut
from tests.support.hub_server import Hub, hub, use_hub, use_hub_cache
from tests.support.tiny_model import shake, tiny_batch, tiny_model

FILES = (CONFIG, WEIGHTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_model()
    shake(model)
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_hub_cache(tmp_path / "hub", monkeypatch)


@pytest.fixture
def server(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as found:
        use_hub(found.endpoint, monkeypatch)
        found.push(folder)
        yield found


def load(name: str | Path) -> SAVE:
    return load_model(name, device="cpu", precision="fp32")


def logits(model: SAVE) -> torch.Tensor:
    with torch.inference_mode():
        return model(*tiny_batch())


def another(folder: Path, into: Path) -> Path:
    """Save a model with other weights."""
    model = load(folder)
    shake(model, seed=9)
    return save_model(model, into)


def spoil_next_download(server: Hub) -> None:
    def spoiled(handler):
        content = bytearray(server.server.content)
        content[-1] ^= 1
        server.server.content = bytes(content)
        handler.wfile.write(handler.start())

    server.downloads = [spoiled]


@pytest.mark.parametrize("name", ["from_pretrained", "save_pretrained", "push_to_hub"])
def test_signature_is_the_mixins(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (save_avs, Mixin))
    wanted = [p for p in theirs.values() if p.name not in ("self", "config", "model_kwargs")]  # of the model
    for parameter in wanted:
        assert (ours[parameter.name].kind, ours[parameter.name].default) == (
            parameter.kind,
            parameter.default,
        )


def test_pushed_model_comes_back(server, folder, tmp_path):
    server.token = "hf_secret"
    card = {"license": "gpl-2.0", "datasets": ["owner/clips"]}
    model = load(folder)
    url = save_avs.push_to_hub(
        model, "owner/mine", token="hf_secret", private=True, branch="v2", model_card_kwargs=card
    )
    assert url == f"{server.endpoint}/owner/mine/commit/{server.revisions['v2']}"
    assert server.created["name"] == "mine"
    assert server.created.get("visibility") == "private" or server.created["private"]  # older clients'
    data = huggingface_hub.ModelCard(server.cards[-1]).data
    assert (data.license, data.datasets, data.library_name) == ("gpl-2.0", ["owner/clips"], "save-avs")
    options: dict[str, Any] = {
        "revision": "v2",
        "cache_dir": tmp_path / "own",
        "precision": "fp32",
        "device": "cpu",
    }
    back = save_avs.from_pretrained("owner/mine", token="hf_secret", **options)
    assert torch.equal(logits(back), logits(model))
    requests = len(server.server.paths)
    assert save_avs.from_pretrained("owner/mine", local_files_only=True, **options).name == model.name
    assert len(server.server.paths) == requests


def test_save_pretrained_pushes_what_it_wrote(server, folder, tmp_path):
    url = save_avs.save_pretrained(load(folder), tmp_path / "mine", push_to_hub=True)
    assert url is not None and server.created["name"] == "mine"
    pushed = server.commits[server.revisions["main"]]
    assert pushed == {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    assert save_avs.save_pretrained(load(folder), tmp_path / "kept") is None


def test_push_without_permission_is_one_line(server, folder):
    server.token = "hf_secret"
    with pytest.raises(SaveAvsError, match=r"owner/mine on http\S+ was not written \(.*\): set HF_TOKEN"):
        save_avs.push_to_hub(load(folder), "owner/mine", token="hf_other")
    assert server.created == {}


def test_gated_repository_says_where_its_terms_are(server):
    server.token, server.gated = "hf_secret", True
    terms = rf"is gated: accept its terms at {server.endpoint}/owner/tiny, and set HF_TOKEN"
    with pytest.raises(SaveAvsError, match=terms):
        save_avs.from_pretrained("owner/tiny")
    assert save_avs.from_pretrained("owner/tiny", token="hf_secret").name == "tiny"


def test_local_files_only_asks_no_server(server, tmp_path):
    with pytest.raises(
        UsageError, match=rf"is not in {re.escape(str(tmp_path))}, and only local files are asked for"
    ):
        save_avs.from_pretrained("owner/tiny", local_files_only=True, cache_dir=tmp_path)
    assert server.server.paths == []


def test_card_shows_the_scores_of_a_report_with_their_intervals(folder, tmp_path):
    group = {"clips": 3, "frames": 9, "miou": {"value": 0.5, "low": 0.4, "high": 0.625, "count": 3}}
    report = {"info": {"data": "s4", "split": "test"}, "protocols": {"dataset": {"overall": group}}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    kwargs = {"eval_report": tmp_path / "report.json"}
    save_avs.save_pretrained(load(folder), tmp_path / "mine", model_card_kwargs=kwargs)
    (result,) = huggingface_hub.ModelCard.load(tmp_path / "mine" / "README.md").data.eval_results
    assert (result.dataset_name, result.dataset_split, result.metric_value) == ("s4", "test", 0.5)
    assert result.metric_args == {"confidence_interval_95": [0.4, 0.625], "clips": 3}
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(UsageError, match=r"is not a report\.json of save-avs eval"):
        save_avs.save_pretrained(load(folder), tmp_path / "other", model_card_kwargs=kwargs)


def test_the_card_is_one_that_the_hub_reads(folder):
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.library_name == "save-avs" and card.data.pipeline_tag == "image-segmentation"
    assert "audio-visual-segmentation" in card.data.tags


def test_model_equals_the_folder_that_was_pushed(server, folder, cache):
    model = load("hf:owner/tiny")
    assert torch.equal(logits(model), logits(load(folder)))
    commit = server.revisions["main"]
    assert (cache / "models--owner--tiny" / "snapshots" / commit / WEIGHTS).is_file()
    assert any(path.endswith(f"/resolve/{commit}/{WEIGHTS}") for path in server.server.paths)


def test_main_moves_and_a_commit_does_not(server, folder, tmp_path):
    first = server.revisions["main"]
    before = logits(load("hf:owner/tiny"))
    second = server.push(another(folder, tmp_path / "other"))
    assert first != second and not torch.equal(before, logits(load("hf:owner/tiny")))
    assert torch.equal(logits(load(f"hf:owner/tiny@{first}")), before)


def test_cached_commit_needs_no_request(server):
    commit = server.revisions["main"]
    fetch_from_hub(HubRepository("owner/tiny", commit), FILES)
    requests = len(server.server.paths)
    fetch_from_hub(HubRepository("owner/tiny", commit), FILES)
    assert len(server.server.paths) == requests


def test_cached_model_loads_while_the_hub_is_down(server, monkeypatch):
    load("hf:owner/tiny")
    use_hub("http://127.0.0.1:9", monkeypatch)
    assert load("hf:owner/tiny").name == "tiny"


def test_offline_uses_the_cache_only(server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"owner/tiny@main is not in .* and HF_HUB_OFFLINE is set"):
        load("hf:owner/tiny")
    assert server.server.paths == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    load("hf:owner/tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    requests = len(server.server.paths)
    assert load("hf:owner/tiny").name == "tiny"
    assert len(server.server.paths) == requests


@pytest.mark.parametrize("name", FILES)
def test_download_that_is_not_what_the_hub_lists_is_refused(server, name):
    spoil_next_download(server)
    with pytest.raises(DataError, match=r"damaged \(its hash is .*remove it"):
        fetch_from_hub(HubRepository("owner/tiny"), (name,))


def test_file_damaged_in_the_cache_is_refused(server):
    folder = fetch_from_hub(HubRepository("owner/tiny"), FILES)
    (folder / CONFIG).resolve().write_text('{"name": "other"}')
    with pytest.raises(DataError, match="remove it and try again"):
        load("hf:owner/tiny")


def test_interrupted_download_is_completed(server):
    pytest.importorskip("huggingface_hub", minversion="1.20", reason="older ones ask to try again")
    server.downloads = [cut(0.5)]
    assert load("hf:owner/tiny").name == "tiny"


@pytest.mark.parametrize("name", ["hf:tiny", "hf:owner/tiny@", "hf:../tiny", "hf:a/b/c", "hf:"])
def test_malformed_name_is_refused(name):
    with pytest.raises(UsageError, match="write hf:owner/name or hf:owner/name@revision"):
        load_model(name)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("hf:owner/other", SaveAvsError, "No model owner/other on .* or set HF_TOKEN if it is private"),
        ("hf:owner/tiny@v2", SaveAvsError, "owner/tiny has no revision v2"),
        ("hf:owner/tiny@text", UsageError, r"owner/tiny@text has no config\.json: name a repository"),
    ],
    ids=["repository", "revision", "file"],
)
def test_error_names_a_missing_repository_or_file(server, tmp_path, name, kind, message):
    (tmp_path / "text").mkdir()
    (tmp_path / "text/README.md").write_text("words")
    server.push(tmp_path / "text", "text")
    with pytest.raises(kind, match=message):
        load_model(name)


def test_unreachable_hub_is_named(cache, monkeypatch):
    use_hub("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's attempts
    with pytest.raises(
        SaveAvsError, match=r"127\.0\.0\.1:9 cannot be reached, and hf:owner/tiny@main is not"
    ):
        load_model("hf:owner/tiny")


def test_token_endpoint_and_cache_come_from_the_environment(folder, tmp_path):
    with hub() as server:
        server.push(folder)
        server.token = "hf_secret"
        code = (
            "from save_avs.weights.hub import HubRepository, fetch_from_hub\n"
            "fetch_from_hub(HubRepository('owner/tiny'), ('config.json',))"
        )
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.endpoint,
            "HF_HOME": str(tmp_path),
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        runs = [
            subprocess.run(
                [sys.executable, "-c", code],
                env=environment | token,
                capture_output=True,
                text=True,
                check=False,
            )
            for token in ({}, {"HF_TOKEN": "hf_secret"})
        ]
    assert runs[0].returncode == 1 and "set HF_TOKEN" in runs[0].stderr
    assert runs[1].returncode == 0, runs[1].stderr
    assert (tmp_path / "hub" / "models--owner--tiny").is_dir()
