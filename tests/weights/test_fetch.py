"""Fetching: only the file wanted comes into the cache, whole, or one line says why not."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from save_avs._download import RetryPolicy
from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.weights import fetch
from save_avs.weights.cache import read_record, record_path
from save_avs.weights.fetch import FetchedFile, fetch_weights
from save_avs.weights.registry import PretrainedWeights, WeightsFile, pretrained_weights
from tests.support.file_server import FileServer, cut, serving, stall, status, well

QUICK = RetryPolicy(timeout=0.4, attempts=2, backoff=0.01)
STUB = b"https://dl.example/segment_anything/sam_vit_b_01ec64.pth here"  # 61 bytes, as one repository has it


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.save({"a": torch.arange(10_000.0)}, file)
    return file.read_bytes()


@pytest.fixture
def server(content: bytes) -> Iterator[FileServer]:
    with serving(content) as files:
        yield files


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_RETRY", QUICK)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def one(server: FileServer, content: bytes, **changes) -> PretrainedWeights:
    """Known weights of one file, all of it known unless told."""
    facts = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), **changes}
    return PretrainedWeights(
        name="small",
        description="",
        files=(WeightsFile(file="weights.pth", url=server.url, **facts),),
        sha256_source="",
        license="",
    )


def get(known: PretrainedWeights, **options) -> FetchedFile:
    return fetch_weights(known, **options)[0]


def refusal(known: PretrainedWeights, kind: type[SaveAvsError] = DataError, **options) -> str:
    with pytest.raises(kind) as caught:
        get(known, **options)
    assert type(caught.value) is kind and "\n" not in str(caught.value)
    return str(caught.value)


def visible(folder: Path) -> set[str]:
    return {p.name for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")}


def test_fetched_file_is_in_the_cache_and_recorded(server, content, cache):
    known = one(server, content)
    fetched = get(known)
    assert fetched.new and fetched.path == cache / "small" / "weights.pth"
    assert fetched.path.read_bytes() == content
    assert read_record(fetched.path) == fetched.identity
    assert fetched.identity.sha256 == hashlib.sha256(content).hexdigest()
    again = get(known)
    assert not again.new and again.identity == fetched.identity and len(server.requests) == 1
    assert visible(cache) == {"weights.pth", "weights.pth.identity.json"}


def test_file_appears_complete_or_not_at_all(server, content, cache):
    known = one(server, content)
    server.script = [cut(0.5), stall]
    refusal(known, SaveAvsError)
    assert visible(cache) == set()
    assert get(known).path.read_bytes() == content
    assert server.requests[-1]["Range"].startswith("bytes=")


def test_a_stub_is_refused_by_its_size(server, content, cache):
    known = one(server, content)
    server.content = STUB
    assert "the server has 61 bytes instead of" in refusal(known)
    assert visible(cache) == set()


def test_a_stub_is_refused_by_its_content_where_no_size_is_known(server, content, cache):
    known = one(server, content, size=None, sha256=None)
    server.content = STUB
    assert 'is not weights.pth: it is not a weight file but text ("https://dl.example/' in refusal(known)
    assert visible(cache) == set() and not list(cache.rglob("*.part"))


def test_wrong_file_of_the_right_size_is_refused(server, content, cache):
    known = one(server, content)
    server.content = content[:-1] + bytes([content[-1] ^ 1])
    assert "its sha256 is" in refusal(known)
    assert visible(cache) == set()
    server.content = content
    server.etag = '"two"'
    assert get(known).path.read_bytes() == content  # nothing of the wrong one was gone on with


def test_truncated_archive_is_refused(server, content, cache):
    known = one(server, content, size=None, sha256=None)
    server.script = [lambda handler: short(handler, content[:-1000])]
    assert "it is cut short" in refusal(known)


def short(handler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_sha256_prefix_is_checked(server, content, cache):
    start = hashlib.sha256(content).hexdigest()[:8]
    assert get(one(server, content, sha256=None, sha256_prefix=start)).new
    wrong = PretrainedWeights(
        **{**vars(one(server, content, sha256=None, sha256_prefix="0badc0de")), "name": "other"}
    )
    assert f"its sha256 starts with {start} instead of 0badc0de" in refusal(wrong)


def test_without_a_published_sha256_the_recorded_one_is_checked(server, content, cache):
    known = one(server, content, size=None, sha256=None)
    fetched = get(known)
    changed = content.replace(b"\x00\x00\x80?", b"\x00\x00\x00?", 1)
    assert changed != content
    fetched.path.write_bytes(changed)
    assert "it is not the file that was fetched" in refusal(known)


def test_damaged_file_in_the_cache_is_refused(server, content, cache):
    known = one(server, content)
    path = get(known).path
    path.write_bytes(content[:-5])
    assert f"{path} is not small: it is cut short" in refusal(known)
    assert "remove it and fetch it again" in refusal(known)


def test_a_file_put_there_by_hand_is_checked_and_recorded(server, content, cache):
    path = cache / "small" / "weights.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert not get(one(server, content), offline=True).new
    assert record_path(path).is_file() and server.requests == []


class TestSources:
    """Mirrors, files and folders in place of the publisher's."""

    def test_a_file(self, server, content, cache, tmp_path):
        (tmp_path / "mine").write_bytes(content)
        for i, source in enumerate((str(tmp_path / "mine"), (tmp_path / "mine").as_uri())):
            known = PretrainedWeights(**{**vars(one(server, content)), "name": f"small-{i}"})
            assert get(known, sources=[source], offline=True).path.read_bytes() == content
        assert server.requests == []

    def test_a_wrong_file_is_refused(self, server, content, cache, tmp_path):
        (tmp_path / "stub").write_bytes(STUB)
        assert "stub is not weights.pth: it is not a weight file" in refusal(
            one(server, content), sources=[str(tmp_path / "stub")]
        )
        (tmp_path / "empty").touch()
        assert "empty (0 bytes)" in refusal(one(server, content), sources=[str(tmp_path / "empty")])

    def test_next_source_is_tried_after_a_failure(self, server, content, cache):
        said = []
        with serving(content) as mirror:
            mirror.script = [status(404)]
            known = one(server, content)
            get(known, sources=[mirror.url, server.url], on_message=said.append)
            assert len(mirror.requests) == len(server.requests) == 1
        assert said == [f"{mirror.url}: not found (404); trying the next source"]

    def test_all_failures_are_named(self, server, content, cache):
        server.script = [status(404), status(403)]
        line = refusal(one(server, content), SaveAvsError, sources=[server.url + "?a", server.url + "?b"])
        assert "?a: not found (404)" in line and "?b: access denied (403)" in line

    def test_a_mirror_that_holds_the_files_under_their_names(self, content, cache, tmp_path):
        save_file({"a": torch.ones(3)}, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text('{"model_type": "sam"}')
        known = pretrained_weights()["sam-vit-b-hf"]
        files = fetch_weights(known, sources=[str(tmp_path)], offline=True)
        assert [file.path.name for file in files] == ["model.safetensors", "config.json"]
        assert json.loads(files[1].path.read_text()) == {"model_type": "sam"}
        with serving((tmp_path / "model.safetensors").read_bytes()) as server:
            other = PretrainedWeights(**{**vars(known), "name": "other", "files": known.files[:1]})
            get(other, sources=[server.url.removesuffix("weights.pth") + "base/"])
            assert server.paths == ["/base/model.safetensors"]

    def test_single_file_is_matched_by_its_name_or_taken_as_the_weights(self, cache, tmp_path):
        save_file({"a": torch.ones(3)}, tmp_path / "mine.safetensors")
        (tmp_path / "config.json").write_text("{}")
        sources = [str(tmp_path / "config.json"), str(tmp_path / "mine.safetensors")]
        files = fetch_weights(pretrained_weights()["sam-vit-b-hf"], sources=sources, offline=True)
        assert files[0].path.read_bytes() == (tmp_path / "mine.safetensors").read_bytes()

    @pytest.mark.parametrize("source", ["ftp://x/y.pth", "s3://x/y.pth", "data://x"])
    def test_only_http_https_and_file_sources_are_accepted(self, server, content, cache, source):
        line = refusal(one(server, content), UsageError, sources=[source])
        assert "only http, https and file" in line and server.requests == []

    def test_a_path_that_is_not_there(self, server, content, cache):
        assert "no such file or folder" in refusal(one(server, content), UsageError, sources=["/no/where"])


def test_offline_makes_no_request(server, content, cache):
    line = refusal(one(server, content), UsageError, offline=True)
    assert "--offline forbids a download" in line and server.requests == []
    refusal(one(server, content), UsageError, offline=True, sources=[server.url])
    assert server.requests == []


@pytest.mark.parametrize("length", [0, 5, 9, 40, -1])
def test_truncated_safetensors_is_refused(length, cache, tmp_path):
    save_file({"a": torch.ones(300)}, tmp_path / "model.safetensors")
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(whole[:length])
    line = refusal(pretrained_weights()["sam-vit-l-hf"], sources=[str(tmp_path)])
    assert "model.safetensors is not model.safetensors: it" in line


def test_concurrent_fetches_download_once(server, content, cache):
    gate = threading.Event()

    def slow(handler) -> None:
        gate.wait(5)
        well(handler)

    server.script = [slow]
    known, results = one(server, content), []
    threads = [threading.Thread(target=lambda: results.append(get(known))) for _ in range(3)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(10)
    assert sorted(result.new for result in results) == [False, False, True]
    assert len(server.requests) == 1


def test_random_bytes_are_refused(server, content, cache):
    draw = random.Random(3)
    for i in range(20):
        server.content = draw.randbytes(draw.randrange(1, 300))
        server.etag = f'"{i}"'
        known = one(server, content, size=None, sha256=None)
        refusal(known)
    assert visible(cache) == set()
