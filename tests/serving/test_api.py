"""The REST API: upload, follow, read, cancel, delete; and no access to other jobs."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from save_avs import segment
from save_avs.runtimes import load_model
from save_avs.serving.api import RESULT_FILES
from save_avs.serving.job import SERVED_OUTPUTS
from tests.support.sample_videos import make_sound, make_video
from tests.support.service import names


def test_a_job_from_its_video_to_its_files(served, tiny, video, tmp_path):
    id = served.accepted(video, save=",".join(SERVED_OUTPUTS), fps="5", threshold="0.4")
    job = served.ended(id)
    assert job["state"] == "done" and job["error"] is None and job["warnings"] == []
    assert job["options"] == {
        "model": "tiny",
        "fps": 5.0,
        "threshold": 0.4,
        "smooth": 0.0,
        "objects": False,
        "track": False,
        "save": list(SERVED_OUTPUTS),
    }
    assert job["created"] <= job["started"] <= job["ended"] < job["expires"]
    assert list(job["results"]) == [name for name in RESULT_FILES if name != "mask.png"]  # of a prompt
    kinds = {"overlay.mp4": "video/mp4", "timeline.png": "image/png", "masks.json": "application/json"}
    for name, path in job["results"].items():
        answer = served.client.get(path).raise_for_status()
        assert answer.headers["content-type"] == kinds.get(name, answer.headers["content-type"])
        (tmp_path / name).write_bytes(answer.content)
    # The very masks that the program itself gives.
    model = load_model(tiny, device="cpu", precision="fp32")
    video_masks = segment(video, model=model, fps=5, threshold=0.4).video_masks
    written = json.loads((tmp_path / "masks.json").read_text())
    assert [f["segmentation"]["counts"].encode() for f in written["frames"]] == list(video_masks.counts)
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        assert archive.namelist() == [f"masks/{index:06d}.png" for index in video_masks.indices]
        for i, name in enumerate(archive.namelist()):
            image = np.asarray(Image.open(io.BytesIO(archive.read(name))))
            assert np.array_equal(image > 0, video_masks.mask(i))
    frames = served.client.get(f"/v1/jobs/{id}/frames").json()
    assert frames["indices"] == list(video_masks.indices) and frames["areas"] == video_masks.areas().tolist()
    third = served.client.get(f"/v1/jobs/{id}/frames/{video_masks.indices[2]}.png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(third.content))) > 0, video_masks.mask(2))
    assert video_masks.mask(2).any()
    assert served.client.get(f"/v1/jobs/{id}/frames/20.png").status_code == 404  # it ends at 19
    logits = served.client.get(f"/v1/jobs/{id}/frames/{video_masks.indices[2]}/logits.png").raise_for_status()
    assert Image.open(io.BytesIO(logits.content)).size == (16, 16)  # a quarter of the model's input
    assert served.client.get(f"/v1/jobs/{id}/frames/20/logits.png").status_code == 404


def test_only_requested_files_are_kept(served, video):
    job = served.ended(served.accepted(video, save="masks"))
    assert list(job["results"]) == ["masks.json", "waveform.json", "summary.json"]
    assert served.client.get(f"/v1/jobs/{job['id']}/result/overlay.mp4").status_code == 404
    (left,) = names(served.service.files.folder(job["id"]))
    assert left.startswith("result-")  # the video is gone
    answer = served.client.get(f"/v1/jobs/{job['id']}/frames/0/logits.png")
    assert answer.status_code == 404 and "did not save them" in answer.json()["error"]["message"]


def test_results_contain_no_path_of_the_server(served, video):
    job = served.ended(served.accepted(video, name="my holiday.mp4"))
    for name in ("summary.json", "masks.json"):
        text = served.client.get(job["results"][name]).text
        assert str(served.service.files.root) not in text and job["id"] not in text
        assert json.loads(text)["video"]["path"] == "my holiday.mp4"


def test_the_overlay_can_be_read_in_parts(served, video):
    path = served.ended(served.accepted(video))["results"]["overlay.mp4"]
    whole = served.client.get(path).content
    part = served.client.get(path, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole[100:200]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "other"}, "Unknown model 'other'. Choose from: tiny."),
        ({"fps": "0"}, "fps"),
        ({"fps": "nan"}, "fps"),
        ({"threshold": "1"}, "threshold"),
        ({"save": "film"}, "save"),
        ({"save": "frames"}, "save"),
        ({"save": ""}, "save"),
        ({"speed": "2"}, "speed: Extra inputs are not permitted"),
        ({"url": "http://example.org/a.mp4"}, "Wrong parts"),
    ],
)
def test_invalid_options_are_refused_at_once(fields, message, served, video):
    answer = served.send(video, **fields)
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]


def test_a_form_without_a_video_is_refused(served):
    answer = served.client.post("/v1/segment", files={"fps": (None, "5")})
    assert answer.status_code == 422 and "send a video in the part" in answer.json()["error"]["message"]
    answer = served.client.post("/v1/segment", json={"file": "clip.mp4"})
    assert answer.status_code == 415 and answer.json()["error"]["code"] == "no_form"
    assert names(served.service.files.root / "tmp") == []


def test_a_video_without_sound_is_done_with_a_warning(served, mute_video):
    job = served.ended(served.accepted(mute_video))
    assert job["state"] == "done" and job["warnings"] == ["clip.mp4: has no sound"]
    assert served.client.get(job["results"]["summary.json"]).json()["marked_frames"] == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"just text"), "clip.mp4: cannot be read as video"),
        (lambda path: path.touch(), "the file is empty"),
        (make_sound, "sound only, no video"),
    ],
    ids=["text", "empty", "sound only"],
)
def test_a_file_that_is_no_video_fails_with_the_reason(make, message, served, tmp_path):
    make(tmp_path / "file.mp4")
    job = served.ended(served.accepted((tmp_path / "file.mp4").read_bytes()))
    assert job["state"] == "failed" and job["error"]["code"] == "unreadable"
    assert message in job["error"]["message"] and job["results"] == {}


def test_videos_beyond_the_limits_fail_with_the_limit(served, tmp_path):
    long = make_video(tmp_path / "long.mp4", frames=42, fps=2)
    large = make_video(tmp_path / "large.mp4", frames=3, size=(202, 64))
    problem = served.ended(served.accepted(long))["error"]
    assert problem["code"] == "too_long" and "limit of 20 s" in problem["message"]
    problem = served.ended(served.accepted(large))["error"]
    assert problem["code"] == "frame_too_large" and "202 x 64" in problem["message"]


def test_other_jobs_and_files_cannot_be_reached(served, video):
    first, second = (served.ended(served.accepted(video))["id"] for _ in range(2))
    assert first != second and len(first) == 32
    unknown = "0" * 32
    for path in (
        f"/v1/jobs/{unknown}",
        f"/v1/jobs/{unknown}/result/summary.json",
        f"/v1/jobs/{first[:-1]}",
        f"/v1/jobs/{first}/result/job.json",
        f"/v1/jobs/{first}/result/..%2Fjob.json",
        f"/v1/jobs/{first}/result/%2e%2e/job.json",
        f"/v1/jobs/{first}/result/..%5Cjob.json",
        f"/v1/jobs/{first}/..%2F{second}/result/summary.json",
        f"/v1/jobs/..%2Fjobs%2F{second}",
        "/v1/jobs/",
        "/v1/jobs",
    ):
        answer = served.client.get(path)
        assert answer.status_code in (404, 422), path
        assert "error" in answer.json(), path


@pytest.mark.parametrize(
    "name", ["../../evil.mp4", "/etc/passwd", "..\\..\\evil.mp4", "..", "a" * 300, "\x00", ""]
)
def test_a_file_s_name_does_not_lead_anywhere(name, served, video):
    job = served.ended(served.accepted(video, name=name, save="masks"))
    assert job["state"] == "done"
    assert "/" not in job["name"] and "\\" not in job["name"] and 0 < len(job["name"]) <= 80
    assert {name.partition(".")[0] for name in names(served.service.files.root)} == {"jobs", "tmp"}


def test_cancelling_and_deleting(stalled, video):
    client, running, waiting = stalled.client, stalled.begin(), stalled.accepted(video)
    assert stalled.job(waiting)["queue_position"] == 0
    cancelled = client.post(f"/v1/jobs/{waiting}/cancel").json()
    assert cancelled["state"] == "cancelled" and stalled.job(waiting)["queue_position"] is None
    assert client.post(f"/v1/jobs/{running}/cancel").json()["state"] == "cancelled"
    again = client.post(f"/v1/jobs/{running}/cancel")
    assert again.status_code == 409 and again.json()["error"]["code"] == "ended"
    # The worker was ended with its job; another takes its place.
    for id in (stalled.begin(), waiting):
        assert client.delete(f"/v1/jobs/{id}").status_code == 204
        assert client.get(f"/v1/jobs/{id}").status_code == 404
        assert client.delete(f"/v1/jobs/{id}").status_code == 404
        assert not (stalled.service.files.root / "jobs" / id).exists()


def test_models_health_and_metrics(served, video):
    listed = served.client.get("/v1/models").json()
    about = "Segments sounding objects in videos like those it was trained on."  # its model card
    facts = {"name": "tiny", "image_size": 64, "device": "cpu", "precision": "fp32", "runtime": "torch"}
    assert listed["models"] == [{**facts, "about": about, "sounds": []}]
    assert listed["limits"]["duration"] == 20
    assert served.client.get("/healthz").json() == {"status": "ok"}
    assert served.client.get("/readyz").json() == {"status": "ready", "problems": []}
    before = _done(served)
    served.ended(served.accepted(video))
    assert _done(served) == before + 1


def _done(served) -> float:
    lines = served.client.get("/metrics").text.splitlines()
    values = [line for line in lines if line.startswith('save_avs_jobs_ended_total{error="",state="done"}')]
    return float(values[0].split()[-1]) if values else 0.0
