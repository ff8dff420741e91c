"""The tables of a batch run: rows of repeated tasks, outdated rows, damaged files."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from save_avs.batch.inputs import as_video
from save_avs.batch.output import DONE, DONE_TABLE, FAILED_TABLE, BatchOutput
from save_avs.batch.run import _find_problem, plan_batch
from save_avs.errors import DataError, UsageError
from tests.support.folder_server import on_s3


def row(path: str, status: str = DONE):
    return {"path": path, "version": "1 bytes", "status": status, "node": "here", "reason": "torn"}


@pytest.fixture
def output(tmp_path) -> BatchOutput:
    return BatchOutput(str(tmp_path / "out"))


def paths(output: BatchOutput, table: str) -> list[str]:
    """Read the folder as any program would, so that a path may occur twice."""
    if not output.names(table):
        return []
    return sorted(ds.dataset(f"{output.url}/{table}").to_table()["path"].to_pylist())


def test_repeated_task_replaces_its_rows_whatever_came_out(output):
    output.append([row("a"), row("b", "crashed")])
    output.append([row("a", "crashed"), row("b")])
    assert (paths(output, DONE_TABLE), paths(output, FAILED_TABLE)) == (["b"], ["a"])
    output.append([row("a"), row("b")])
    assert (paths(output, DONE_TABLE), paths(output, FAILED_TABLE)) == (["a", "b"], [])


def test_prepare_deletes_outdated_rows_and_leaves_the_others(output):
    output.append([row("a"), row("b")])
    output.append([row("c", "unreadable")])
    output.prepare({}, frozenset({"b", "c"}))
    assert (paths(output, DONE_TABLE), paths(output, FAILED_TABLE)) == (["a"], [])


def test_plan_tries_transient_failures_again_and_others_on_request(output):
    output.append([row("/a"), row("/b", "crashed"), row("/c", "unreadable")])
    videos = [as_video(path) for path in ("/a", "/b", "/c", "/d")]
    plan = plan_batch(videos, output)
    assert ([video.path for video in plan.todo], plan.done, plan.failed) == (["/b", "/d"], 1, 1)
    assert plan.redo == {"/b"}
    assert plan_batch(videos, output, retry_failed=True).redo == {"/b", "/c"}


def test_rows_that_another_process_wrote_meanwhile_are_seen_on_s3(tmp_path):
    (tmp_path / "empty").mkdir()
    with on_s3(tmp_path / "empty") as bucket:
        output = BatchOutput(f"{bucket}/tables")
        output.append([row("a")])
        assert output.rows(DONE_TABLE).keys() == {"a"}
        elsewhere = "from save_avs.batch.output import BatchOutput as B; B({!r}).append([{!r}])"
        program = elsewhere.format(output.url, row("b"))
        subprocess.run([sys.executable, "-c", program], check=True)
        assert output.rows(DONE_TABLE).keys() == {"a", "b"}


def test_damaged_table_is_one_line(output):
    output.append([row("a")])
    (name,) = output.names(DONE_TABLE)
    output.write(f"{DONE_TABLE}/{name}", b"PAR1 torn")
    with pytest.raises(DataError, match=f"{name}: not readable") as said:
        output.rows(DONE_TABLE)
    assert "\n" not in str(said.value)


def test_output_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match="file: "):
        BatchOutput(str(tmp_path / "file")).check_settings({})


def test_node_with_another_minor_version_is_a_problem():
    assert _find_problem((), {"pyarrow": pa.__version__}) == ""
    assert _find_problem((), {"pyarrow": "1.2.3"}) == (
        f"has pyarrow {pa.__version__}, this machine has 1.2.3: install the same version there"
    )
