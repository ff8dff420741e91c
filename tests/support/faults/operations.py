"""The commands that are disturbed: segment, train, fetch, serve."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import av
import httpx
import torch

from save_avs.models.serialization import save_model
from tests.support.faults.operation import Operation, Outcome, digest, digests
from tests.support.sample_videos import make_video
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import shake, tiny_config, tiny_model

CLIPS = 6
WEIGHTS = "published.pth"  # what `program.py` lets be fetched
_STAGE = {
    "task": "synthetic-avs",
    "trainable": ["adapter", "audio_adapter", "mask_decoder"],
    "batch_size": 4,
    "lr": 1e-3,
    "validate_every": 20,
    "val_samples": 2,
    "scenes": {"num_objects": [1, 2], "object_size": [0.5, 1.0]},
}


def _clips_and_model(place: Path, *, broken: bool = False) -> None:
    (place / "clips").mkdir()
    for number in range(CLIPS):
        make_video(place / f"clips/clip-{number}.mp4", frames=60 + 10 * number)
    if broken:
        (place / "clips/torn.mp4").write_text("no video")
    model = tiny_model()
    shake(model)
    save_model(model, place / "model")


def _segment(place: Path) -> list[str]:
    how = ["--save", "masks,overlay", "--resume", "--model", str(place / "model")]
    return ["segment", str(place / "clips"), "-o", str(place / "out"), *how]


def _segmented(place: Path) -> Outcome:
    """What a summary says is done: it is written last."""
    reported = [path.parent for path in (place / "out").glob("*/summary.json")]
    masks = {folder.name: digest((folder / "masks.json").read_bytes()) for folder in reported}
    overlays = {f"{folder.name}/overlay": _frames_in(folder / "overlay.mp4") for folder in reported}
    return masks | overlays


def _frames_in(video: Path) -> str:
    """How many of its frames decode; x264 does not encode small images reproducibly."""
    with av.open(str(video)) as container:
        return f"{sum(1 for _ in container.decode(video=0))} frames"


def _recipe(place: Path) -> None:
    recipe = {
        "model": tiny_config().model_dump(mode="json", exclude={"classes", "pretrained", "semantic"}),
        "corpus": str(make_corpus(place / "corpus")),
        "out": str(place / "out"),
        "precision": "fp32",
        "workers": 0,
        "checkpoint_interval_s": 0.2,
        "stages": [
            {"name": "one", "steps": 40, **_STAGE},
            {"name": "two", "init_from": "one", "steps": 40, **_STAGE},
        ],
    }
    (place / "recipe.yaml").write_text(json.dumps(recipe))


def _stages(place: Path) -> Outcome:
    """The models of stages that are done."""
    return digests(place / "out", "*/model/*.safetensors")


def _publish(place: Path) -> None:
    torch.manual_seed(0)
    torch.save({"weight": torch.randn(1000, 1000)}, place / WEIGHTS)


def _fetch(address: Callable[[], str], place: Path) -> list[str]:
    return ["weights", "fetch", "published", "--from", address()]


def _cache(place: Path) -> dict[str, str]:
    return {"SAVE_AVS_CACHE": str(place / "out"), "FAULTS_PUBLISHED": str(place / WEIGHTS)}


def _serve(place: Path) -> list[str]:
    return [
        "serve",
        "--port",
        "0",
        "--no-page",
        "--data",
        str(place / "out"),
        "--model",
        str(place / "model"),
    ]


def _ask_the_service(process: subprocess.Popen[str], place: Path) -> str:
    """Send what was not accepted yet, wait for all, keep what came of it; then end the service."""
    assert process.stderr is not None
    stderr = process.stderr.readline()
    with (
        suppress(httpx.TransportError, IndexError),
        httpx.Client(base_url=stderr.split()[-1], timeout=30) as client,
    ):
        _send(client, place)
        _collect(client, place)
        process.terminate()
    return stderr


def _send(client: httpx.Client, place: Path) -> None:
    accepted = _book(place / "accepted.json")
    for clip in sorted((place / "clips").iterdir()):
        while clip.name not in accepted:
            answer = client.post("/v1/segment", files={"file": (clip.name, clip.read_bytes())})
            if answer.status_code == 202:
                accepted[clip.name] = answer.json()["id"]
                (place / "accepted.json").write_text(json.dumps(accepted))
            elif answer.status_code != 429:
                return


def _collect(client: httpx.Client, place: Path) -> None:
    found = {}
    for name, id in _book(place / "accepted.json").items():
        while (job := client.get(f"/v1/jobs/{id}").json()).get("state") in ("accepted", "running"):
            time.sleep(0.05)
        found[name] = digest(json.dumps([job.get("state", "unknown"), _frames(client, job)]).encode())
    (place / "found.json").write_text(json.dumps(found))


def _frames(client: httpx.Client, job: dict) -> object:
    place = job.get("results", {}).get("masks.json")
    return client.get(place).json()["frames"] if place else None


def _found(place: Path) -> Outcome:
    return _book(place / "found.json")


def _book(path: Path) -> dict[str, str]:
    """What was written down of each clip so far."""
    return json.loads(path.read_text()) if path.is_file() else {}


def operations(address: Callable[[], str]) -> dict[str, Operation]:
    """All of them; ``address`` is where the published weights are served."""
    every = (
        Operation("segment", _clips_and_model, _segment, _segmented),
        Operation("train", _recipe, lambda place: ["train", str(place / "recipe.yaml")], _stages),
        Operation(
            "fetch",
            _publish,
            partial(_fetch, address),
            lambda place: digests(place / "out", "*/*.pth"),
            environment=_cache,
        ),
        Operation("serve", _clips_and_model, _serve, _found, attend=_ask_the_service, codes=(143,)),
    )
    return {operation.name: operation for operation in every}
