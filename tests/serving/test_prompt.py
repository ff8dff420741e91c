"""Prompts on images: the mask of `save-avs prompt`, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from save_avs.cli import main
from tests.support.service import Served, names, serving


@pytest.fixture(scope="module")
def prompted(tiny, tmp_path_factory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("prompted"), tiny, prompt_model=tiny, side=200) as served:
        yield served


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    pixels = np.random.default_rng(3).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def send(served: Served, image: bytes, **fields: Any) -> httpx.Response:
    return served.client.post("/v1/prompt", files={"file": ("photo.png", image)}, data=fields)


@pytest.mark.parametrize(
    "prompt",
    [{"point": ["40,30"]}, {"point": ["40,30", "20,10"]}, {"box": "10,5,70,50"}],
    ids=["point", "two points", "box"],
)
def test_the_mask_is_that_of_the_command(prompt, prompted, tiny, photo, tmp_path, capsys):
    words = [word for value in prompt.get("point", []) for word in ("--point", value)]
    words += ["--box", prompt["box"]] if "box" in prompt else []
    target = tmp_path / "mask.png"
    assert main(["prompt", str(photo), *words, "--model", str(tiny), "-o", str(target)]) == 0
    expected = np.asarray(Image.open(target))
    answer = send(prompted, photo.read_bytes(), **prompt)
    assert answer.status_code == 202, answer.text
    job = prompted.ended(answer.json()["id"])
    assert (job["state"], job["name"], list(job["results"])) == (
        "done",
        "photo.png",
        ["summary.json", "mask.png"],
    )
    mask = np.asarray(Image.open(io.BytesIO(prompted.client.get(job["results"]["mask.png"]).content)))
    assert np.array_equal(mask, expected) and mask.any()
    summary = prompted.client.get(job["results"]["summary.json"]).json()
    assert summary["marked_area"] == pytest.approx((expected > 0).mean())
    assert f"predicted IoU {summary['iou']:.2f})" in capsys.readouterr().out
    (left,) = names(prompted.service.files.folder(job["id"]))
    assert left.startswith("result-")  # the image is gone


@pytest.mark.parametrize(
    ("size", "fields", "code", "message"),
    [
        ((90, 60), {"point": "90,5"}, "refused", "point 90,5 is outside the image of 90x60"),
        ((90, 60), {"point": "nan,5"}, "refused", "outside the image"),
        ((90, 60), {"box": "9,9,3,3"}, "refused", "box 9,9,3,3 is empty"),
        ((201, 60), {"point": "1,1"}, "frame_too_large", "201 x 60 pixels"),
        (None, {"point": "1,1"}, "unreadable", "photo.png: cannot be read as an image"),
    ],
)
def test_what_cannot_be_masked_fails_with_the_reason(size, fields, code, message, prompted):
    content = io.BytesIO(b"no image")
    if size:
        Image.new("RGB", size).save(content, "png")
    job = prompted.ended(send(prompted, content.getvalue(), **fields).json()["id"])
    assert job["state"] == "failed" and job["error"]["code"] == code
    assert message in job["error"]["message"] and str(prompted.service.files.root) not in str(job["error"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Nothing shows the object"),
        ({"point": "1"}, "point"),
        ({"point": "a,b"}, "point"),
        ({"point": ["1,1"] * 17}, "point"),
        ({"box": "1,2,3"}, "box"),
        ({"point": "1,1", "model": "other"}, "Unknown model 'other'"),
        ({"point": "1,1", "threshold": "0.5"}, "threshold: Extra inputs are not permitted"),
    ],
)
def test_malformed_prompts_are_refused_at_once(fields, message, prompted, photo):
    answer = send(prompted, photo.read_bytes(), **fields)
    assert answer.status_code == 422 and message in answer.json()["error"]["message"]


def test_without_a_model_for_prompts_there_is_no_route(served, photo):
    assert served.client.get("/v1/models").json()["prompt_model"] is None
    assert send(served, photo.read_bytes(), point="1,1").status_code == 404
    assert "/v1/prompt" not in served.client.get("/openapi.json").json()["paths"]


def test_prompts_are_described(prompted, tiny):
    assert prompted.client.get("/v1/models").json()["prompt_model"] == tiny.name
    post = prompted.client.get("/openapi.json").json()["paths"]["/v1/prompt"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"] and set(form["properties"]) == {"file", "model", "point", "box"}
