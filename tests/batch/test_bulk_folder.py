"""The folder of a run after a crash: half-written files go, whole ones stay."""

from __future__ import annotations

import pytest

from save_avs.batch.messages import Done, Failed
from save_avs.batch.output import BulkFolder
from save_avs.batch.run import plan_run
from save_avs.batch.storage import entry_of, identity_of
from save_avs.errors import DataError
from save_avs.types import VideoMasks
from tests.support.batch_inputs import rows


def done(name: str) -> Done:
    video_masks = VideoMasks(size=(2, 3), indices=(0,), times=(0.0,), scores=(0.5,), counts=(b"06",))
    common = {"identity": "1", "model": "m", "fps": 1.0, "duration": None, "warnings": (), "overlay": None}
    return Done(name=name, video_masks=video_masks, seconds=1.0, **common)  # type: ignore[arg-type]


def failed(name: str) -> Failed:
    return Failed(name, "", "unreadable", "no video")


@pytest.fixture
def folder(tmp_path) -> BulkFolder:
    """Two parts, and two that failed."""
    folder = BulkFolder(tmp_path / "out")
    for names in ("ab", "c"):
        with folder.opened({}) as results:
            for name in names:
                results.add(done(name))
                results.add(failed(f"bad {name}")) if name != "b" else None
    return folder


def test_runs_add_parts(folder):
    assert [path.name for path in sorted((folder.path / "clips").iterdir())] == [
        "part-000001.parquet",
        "part-000002.parquet",
    ]
    assert folder.done() == {"a": "1", "b": "1", "c": "1"}
    assert folder.failed() == {name: failed(name) for name in ("bad a", "bad c")}


def test_results_of_some_clips_go_and_the_others_stay(folder):
    folder.forget({"a", "c", "bad c"})
    assert [row["path"] for row in rows(folder.path)] == ["b"]
    assert set(folder.failed()) == {"bad a"}
    with folder.opened({}) as results:
        results.add(done("c"))
    assert set(folder.done()) == {"b", "c"}


def test_what_a_killed_run_left_half_written_goes(folder):
    for name in (".part-000003.1234.part.parquet", "../.failed.1234.part.parquet", "../.scratch/x/clip.mp4"):
        path = folder.path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    assert len(folder.done()) == 3
    with folder.opened({}):
        pass
    assert not [path for path in folder.path.rglob("*") if ".part." in path.name or "scratch" in str(path)]


def test_an_error_in_the_block_does_not_lose_results(folder):
    with pytest.raises(KeyboardInterrupt), folder.opened({}) as results:
        results.add(done("d"))
        raise KeyboardInterrupt
    assert "d" in folder.done()


def test_a_torn_part_is_named(folder):
    part = folder.path / "clips/part-000001.parquet"
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(DataError, match=r"part-000001.parquet: cannot be read .*; remove it"):
        folder.done()


@pytest.mark.parametrize(
    ("status", "again"),
    [("crashed", True), ("system", True), ("unreachable", True), ("unreadable", False), ("missing", False)],
)
def test_what_the_clip_may_not_be_to_blame_for_is_tried_again(tmp_path, status, again):
    clip = tmp_path / "a.mp4"
    clip.touch()
    entry, folder = entry_of(str(clip)), BulkFolder(tmp_path / "out")
    with folder.opened({}) as results:
        results.add(Failed(entry.name, identity_of(entry) or "", status, "reason"))
    plan = plan_run([entry], folder)
    assert (len(plan.todo), len(plan.redo), len(plan.failed)) == ((1, 1, 0) if again else (0, 0, 1))
    assert plan_run([entry], folder, retry_failed=True).todo == [entry]
