"""Interrupted runs: nothing saved is lost, and a resumed run ends in the same bits."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import torch

from save_avs.errors import SaveAvsError
from save_avs.training.avs_task import AVSegmentationTask
from save_avs.training.signals import InterruptedRunError
from tests.support.distributed_run import FORK
from tests.support.recording_callback import RecordingCallback, make_trainer
from tests.support.tiny_model import tiny_model
from tests.support.training_clips import Clips, clip_stage, make_clip

RUNS = 11
TIMED = {"frames_per_s", "data_wait", "memory_gb"}  # what no two runs have in common


def make_task(stage) -> AVSegmentationTask:
    return AVSegmentationTask(
        tiny_model(),
        stage,
        train=Clips([make_clip(k, annotated=1 + k % 3) for k in range(7)], "train"),
        val=Clips([make_clip(k) for k in range(3)], "val"),
    )


def run(folder: Path, callback=None, spoil=None, **options) -> tuple[AVSegmentationTask, dict[str, float]]:
    stage = clip_stage(
        **{"steps": 26, "batch_size": 3, "ema_decay": 0.6, "warmup_steps": 3, **options.pop("stage", {})}
    )
    task = make_task(stage)
    if spoil:
        spoil(task)
    figures = make_trainer(task, stage, folder, callback, **{"checkpoint_interval_s": 0.0, **options}).run()
    return task, figures


class KilledAtStep(RecordingCallback):
    """Kills its process at a moment of the step after the given one: in its gradient, its checkpoint, ..."""

    def __init__(self, step: int, delay: float) -> None:
        super().__init__()
        self.step, self.delay = step, delay

    def on_step_end(self, stats):
        if stats.step == self.step:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def history(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in TIMED} for row in rows]


@pytest.mark.exhaustive
def test_run_killed_ten_times_ends_in_the_same_bits(tmp_path):
    draw = random.Random(4)
    torch.set_num_threads(1)
    straight, figures = run(tmp_path / "straight", workers=1, checkpoint_interval_s=1e9)

    step, kills = 0, 0
    for _ in range(RUNS):
        step += draw.choice((1, 2, 3))
        killer = KilledAtStep(step, draw.uniform(0.0, 0.06))
        process = FORK.Process(target=run, args=(tmp_path / "broken", killer), kwargs={"workers": 1})
        process.start()
        while (
            process.exitcode is None
        ):  # join would wait for its worker too, which looks for it every 5 s only
            time.sleep(0.01)
        kills += process.exitcode == -signal.SIGKILL
        kept = sorted((tmp_path / "broken").glob("checkpoint-*.pt"))
        step = max(step, int(kept[-1].stem[-8:]) if kept else 0)
    assert kills >= 10
    task, ended = run(tmp_path / "broken", workers=1)

    assert ended == figures
    expected = straight.modules.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in task.modules.state_dict().items())
    assert history(tmp_path / "broken") == history(tmp_path / "straight")
    one, other = (torch.load(tmp_path / f / "best.pt", weights_only=True) for f in ("straight", "broken"))
    assert one["step"] == other["step"]
    assert all(torch.equal(v, one["modules"][k]) for k, v in other["modules"].items())


def test_sigterm_saves_and_the_run_resumes(tmp_path):
    straight, figures = run(tmp_path / "straight", stage={"steps": 6})

    def tell(task):
        loss, calls = task.loss, iter(range(100))

        def told(batch, whole):
            if next(calls) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return loss(batch, whole)

        task.loss = told

    with pytest.raises(
        InterruptedRunError, match=r"stopped by SIGTERM; stage only was saved at step 3"
    ) as end:
        run(tmp_path / "told", spoil=tell, stage={"steps": 6}, checkpoint_interval_s=1e9)
    assert end.value.exit_code == 143
    task, ended = run(tmp_path / "told", stage={"steps": 6}, checkpoint_interval_s=1e9)
    assert ended == figures
    assert all(torch.equal(v, straight.modules.state_dict()[k]) for k, v in task.modules.state_dict().items())


def test_sigint_during_validation_saves_and_validates_after_resume(tmp_path):
    def tell(task):
        score = task.metrics

        def told(batch):
            os.kill(os.getpid(), signal.SIGINT)
            return score(batch)

        task.metrics = told

    stage = {"steps": 4, "validate_every_epochs": 1}
    straight, figures = run(tmp_path / "straight", stage=stage)
    with pytest.raises(InterruptedRunError, match=r"stopped by Ctrl-C; .* saved at step 2") as end:
        run(tmp_path / "told", spoil=tell, stage=stage, checkpoint_interval_s=1e9)
    assert end.value.exit_code == 130
    task, ended = run(tmp_path / "told", stage=stage)
    assert ended == figures and history(tmp_path / "told") == history(tmp_path / "straight")
    assert all(torch.equal(v, straight.modules.state_dict()[k]) for k, v in task.modules.state_dict().items())


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [flip_a_bit, cut, empty])
def test_damaged_checkpoint_is_skipped_for_the_previous_one(tmp_path, spoil):
    run(tmp_path / "torn", stage={"steps": 4})
    kept = sorted(p.name for p in (tmp_path / "torn").glob("checkpoint-*.pt"))
    assert kept == ["checkpoint-00000003.pt", "checkpoint-00000004.pt"]
    spoil(tmp_path / "torn" / kept[-1])
    callback = RecordingCallback()
    run(tmp_path / "torn", callback, stage={"steps": 5})
    assert "checkpoint-00000004.pt: damaged" in callback.messages[0] and callback.messages[0].endswith(
        "; skipped"
    )
    assert "resuming from step 3" in callback.messages[1]
    assert [stats.step for stats in callback.steps] == [4, 5]


def poison(task, steps: set[int]) -> None:
    """The images of one clip give NaN logits, in these steps."""
    loss = task.loss
    calls = {"n": 0}

    def poisoned(batch, whole):
        if torch.is_grad_enabled():
            calls["n"] += 1
        terms = loss(batch, whole)
        if calls["n"] in steps and "clip-2" in batch.clips.names:
            terms = {name: value * float("nan") for name, value in terms.items()}
        return terms

    task.loss = poisoned


def test_non_finite_loss_names_its_clip(tmp_path):
    with pytest.raises(SaveAvsError, match=r"step \d: the loss or its gradient is not finite: clip-2;"):
        run(tmp_path, spoil=lambda task: poison(task, set(range(9))), stage={"steps": 6})


def test_non_finite_step_is_skipped_and_counted(tmp_path):
    callback = RecordingCallback()
    every = set(range(99))
    task, _ = run(
        tmp_path,
        callback,
        spoil=lambda t: poison(t, every),
        stage={"steps": 7, "ema_decay": 0.0},
        non_finite="skip",
    )
    assert [row["skipped"] for row in callback.rows if "skipped" in row] == [3]  # once in each epoch of seven
    assert all("clip-2; skipped" in line for line in callback.messages if "not finite" in line)
    assert all(v.isfinite().all() for v in task.modules.state_dict().values())


def test_run_of_skipped_steps_only_stops(tmp_path):
    def ruin(task):
        loss = task.loss
        task.loss = lambda batch, whole: {k: v * float("inf") for k, v in loss(batch, whole).items()}

    with pytest.raises(SaveAvsError, match="20 such steps in a row"):
        run(tmp_path, spoil=ruin, non_finite="skip", checkpoint_interval_s=1e9)


def test_patience_stops_early(tmp_path):
    def decline(task):
        score, calls = task.metrics, iter(range(100))
        task.metrics = lambda batch: {**score(batch), "miou": torch.tensor([1.0 - next(calls) / 100])}

    callback = RecordingCallback()
    stage = {"steps": 40, "patience": 3}
    _, figures = run(tmp_path, callback, spoil=decline, stage=stage)
    steps = [row["step"] for row in callback.rows if "val_miou" in row]
    assert len(steps) == 4  # the first is the best, three are worse
    assert callback.steps[-1].step == steps[-1] and figures["miou"] == 1.0
    again = RecordingCallback()
    assert run(tmp_path, again, stage=stage)[1] == figures and not again.steps


def small_disk(folder: Path, size: str) -> None:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")


def assert_goes_on_after_a_full_disk(folder: Path, make_room) -> None:
    kept = sorted(folder.glob("checkpoint-*.pt"))
    assert kept and all(torch.load(path, weights_only=True)["step"] for path in kept)
    assert not [path for path in folder.iterdir() if ".part" in path.name]
    make_room()
    straight, figures = run(folder.parent / "straight", stage={"steps": 4})
    task, ended = run(folder, stage={"steps": 4})
    assert ended == figures
    assert all(torch.equal(v, straight.modules.state_dict()[k]) for k, v in task.modules.state_dict().items())


def test_full_disk_keeps_the_previous_checkpoint(tmp_path):
    folder = tmp_path / "small"
    small_disk(folder, "20m")
    try:
        run(folder, stage={"steps": 2}, keep_checkpoints=1)
        size = sum(path.stat().st_size for path in folder.iterdir())
        ballast = folder / "ballast"
        with pytest.raises(OSError) as full, ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        assert full.value.errno == errno.ENOSPC
        with ballast.open("r+b") as file:  # room for half a checkpoint
            file.truncate(ballast.stat().st_size - size // 4)
        with pytest.raises(
            SaveAvsError, match=r"No space left on device.*00000002.pt is intact; free some space"
        ):
            run(folder, stage={"steps": 4}, keep_checkpoints=1)
        assert_goes_on_after_a_full_disk(folder, ballast.unlink)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_file_size_limit_keeps_the_previous_checkpoint(tmp_path):
    """The same where no disk can be mounted: files are limited in size."""
    folder = tmp_path / "limited"
    run(folder, stage={"steps": 2}, keep_checkpoints=1)
    limit = (folder / "checkpoint-00000002.pt").stat().st_size // 2
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, former[1]))
    try:
        with pytest.raises(SaveAvsError, match=r"File too large.*00000002.pt is intact; free some space"):
            run(folder, stage={"steps": 4}, keep_checkpoints=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, handler)
    assert_goes_on_after_a_full_disk(folder, lambda: None)
