"""Distributed training: equal to one process, recovery from a lost process, joint stops."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.training.avs_task import AVSegmentationTask
from save_avs.training.checkpoint import trained_tensors
from save_avs.training.dataloader import micro_batch_items, split_evenly
from save_avs.training.distributed import DistributedContext, full_tensor
from save_avs.training.signals import InterruptedRunError
from tests.support.distributed_run import run_together
from tests.support.recording_callback import RecordingCallback, make_trainer
from tests.support.tiny_model import tiny_model
from tests.support.training_clips import Clips, clip_stage, make_clip


class BrokenClips(Clips):
    """One of its clips cannot be read."""

    broken = 3

    def __getitem__(self, i: int):
        if i == self.broken:
            raise DataError(f"clip-{i}.png: cut short")
        return super().__getitem__(i)


def make_task(stage, clips=Clips, val=None) -> AVSegmentationTask:
    """Clips with one, two or three annotated frames, so that equal shares of clips are unequal in frames."""
    return AVSegmentationTask(
        tiny_model(),
        stage,
        train=clips([make_clip(k, annotated=1 + k % 3) for k in range(11)], "train"),
        val=val or Clips([make_clip(k, annotated=1 + k % 2) for k in range(5)], "val"),
    )


def train(
    folder: Path, *, grad_accum_steps=1, sharding="none", plain=False, checkpoint_interval_s=1e9, **changes
):
    """Train; the loss terms of every step, the validations, and the weights the model ends with."""
    stage = clip_stage(**{"steps": 4, "batch_size": 8, "grad_accum_steps": grad_accum_steps, **changes})
    task = make_task(stage)
    callback = RecordingCallback()
    distributed = DistributedContext(device="cpu", sharding=sharding)
    chosen = make_trainer(
        task, stage, folder, callback, distributed, checkpoint_interval_s=checkpoint_interval_s
    )
    if plain:  # AdamW divides by what may be nothing but rounding
        trained = [p for p in task.modules.parameters() if p.requires_grad]
        chosen.train_step.optimizers.all = [torch.optim.SGD(trained, lr=0.01, momentum=0.9)]
    chosen.run()
    losses = [stats.loss for stats in callback.steps]
    state = {
        name: value.full_tensor() if hasattr(value, "full_tensor") else value
        for name, value in task.modules.state_dict().items()
    }
    return losses, [row for row in callback.rows if "val_miou" in row], state


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tolerance: float = 2e-6):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], atol=tolerance, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory):
    return train(tmp_path_factory.mktemp("alone"), plain=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("count", "grad_accum_steps", "sharding"),
    [(1, 2, "none"), (2, 1, "none"), (2, 2, "none"), (3, 1, "none"), (2, 1, "full"), (2, 2, "full")],
)
def test_training_is_equal_for_any_split_of_a_step(alone, tmp_path, count, grad_accum_steps, sharding):
    results = run_together(
        count, lambda _: train(tmp_path, grad_accum_steps=grad_accum_steps, sharding=sharding, plain=True)
    )
    losses, validations, _ = results[0]
    assert losses == pytest.approx(alone[0], rel=1e-5)
    assert len(losses) == 4
    assert len(validations) == len(alone[1]) > 0
    for row, expected in zip(validations, alone[1], strict=True):
        assert row == pytest.approx(expected, abs=1e-5)
    for other in results:
        assert_same(other[2], alone[2])


def test_validation_counts_the_frames_of_all_processes_once(tmp_path):
    """Five clips of one or two annotated frames, in two processes: the mean is over seven frames."""

    def look(rank: int):
        stage = clip_stage(steps=1, batch_size=2)
        task = make_task(stage)
        task.metrics = lambda batch: {
            "miou": torch.tensor([len(n) * 0.0 + float(n[-1]) for n in batch.clips.names])
        }
        return make_trainer(task, stage, tmp_path, distributed=DistributedContext(device="cpu")).validate()

    rows = run_together(2, look)
    assert rows[0] == rows[1] == {"miou": pytest.approx((0 + 1 + 1 + 2 + 3 + 3 + 4) / 7)}


def test_sharded_processes_without_a_validation_clip_keep_pace(tmp_path):
    """Two clips in four processes, one of them unreadable: one process alone has a batch."""

    def look(rank: int):
        stage = clip_stage(steps=1, batch_size=4)
        val = BrokenClips([make_clip(0), make_clip(1)], "val")
        val.broken = 0
        task = make_task(stage, val=val)
        distributed = DistributedContext(device="cpu", sharding="full")
        return make_trainer(task, stage, tmp_path, distributed=distributed, bad_samples="skip").validate()

    rows = run_together(4, look)
    assert all(row == rows[0] for row in rows) and 0 <= rows[0]["miou"] <= 1


def resume_sharded(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Resume from the newest checkpoint; return all state in full."""
    stage = clip_stage(steps=4, batch_size=8)
    distributed = DistributedContext(device="cpu", sharding="full")
    trainer = make_trainer(make_task(stage), stage, folder, distributed=distributed)
    trainer._resume()
    assert trainer.step == 4
    optimizer = trainer.train_step.optimizers.all[0].state_dict()["state"]
    moments = {f"{i}.{name}": value for i, state in optimizer.items() for name, value in state.items()}
    parts = {"modules": trained_tensors(trainer.task.modules), "ema": trainer.train_step.ema.shadow}
    return {
        part: {name: full_tensor(value) for name, value in tensors.items()}
        for part, tensors in {**parts, "optimizer": moments}.items()
    }


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two processes, with a checkpoint after each step."""
    folder = tmp_path_factory.mktemp("sharded")

    (*_, ended), _ = run_together(
        2, lambda _: train(folder, sharding="full", checkpoint_interval_s=0.0, val_samples=2)
    )
    torch.save(ended, folder / "ended.pt")
    return folder


@pytest.mark.parametrize("count", [1, 4])
def test_sharded_checkpoint_resumes_on_another_number_of_processes(sharded, tmp_path, count):
    """The oracle is torch's own conversion of the shards."""
    folder = shutil.copytree(sharded, tmp_path / "moved")
    dcp_to_torch_save(folder / "checkpoint-00000004", tmp_path / "full.pt")
    saved = torch.load(tmp_path / "full.pt", weights_only=True)
    moments = saved.pop("optimizers")["0"]
    saved["optimizer"] = {
        f"{i}.{name}": value for i, values in moments.items() for name, value in values.items()
    }
    assert all(len(tensors) > 10 for tensors in saved.values())
    for found in run_together(count, lambda _: resume_sharded(folder)):
        for part, tensors in saved.items():
            assert found[part].keys() == tensors.keys()
            assert all(torch.equal(value, tensors[name]) for name, value in found[part].items())


def test_each_process_writes_its_own_shards(sharded):
    sizes = [path.stat().st_size for path in (sharded / "checkpoint-00000004").glob("__*.distcp")]
    assert len(sizes) == 2 and max(sizes) < 0.7 * sum(sizes)
    assert {path.name for path in sharded.iterdir() if path.is_dir()} >= {
        "checkpoint-00000003",
        "checkpoint-00000004",
    }
    assert len(list(sharded.glob("best-*"))) == 1 and not (sharded / "best.pt").exists()


def test_interrupted_sharded_run_ends_in_the_same_bits(sharded, tmp_path):
    """Its newest checkpoint lacks the index, the one before is whole."""
    folder = shutil.copytree(sharded, tmp_path / "broken")
    (folder / "checkpoint-00000004/.metadata").unlink()
    straight = torch.load(folder / "ended.pt", weights_only=True)
    resumed = run_together(2, lambda _: train(folder, sharding="full", val_samples=2))
    assert len(resumed[0][0]) == 1
    for _, _, weights in resumed:
        assert all(torch.equal(value, straight[name]) for name, value in weights.items())


def test_damaged_shard_is_skipped_for_the_previous_checkpoint(sharded, tmp_path):
    folder = shutil.copytree(sharded, tmp_path / "damaged")
    shard = folder / "checkpoint-00000004/__1_0.distcp"
    content = bytearray(shard.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = bytes(500)  # more than the padding between two tensors
    shard.write_bytes(content)
    stage = clip_stage(steps=4, batch_size=8)
    callback = RecordingCallback()
    trainer = make_trainer(make_task(stage), stage, folder, callback)
    trainer._resume()
    assert trainer.step == 3
    assert callback.messages[0].endswith("checkpoint-00000004: damaged or cut short; skipped")


def lose(folder: Path, rank: int, killed_at: int | None):
    stage = clip_stage(steps=6, batch_size=4)
    task = make_task(stage)
    chosen = make_trainer(
        task, stage, folder, distributed=DistributedContext(device="cpu"), checkpoint_interval_s=0.0
    )
    loss = task.loss

    def mortal(batch, whole):
        if rank == 1 and chosen.step == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(batch, whole)

    task.loss = mortal
    chosen.run()
    return task.modules.state_dict()


def test_lost_process_stops_the_others_and_the_run_resumes(tmp_path):
    whole = run_together(2, lambda rank: lose(tmp_path / "straight", rank, None))
    left, gone = run_together(2, lambda rank: lose(tmp_path / "broken", rank, 3))
    assert gone is None
    assert isinstance(left, SaveAvsError)
    assert "another of the 2 processes is gone" in str(left) and "resume from checkpoint-00000003.pt" in str(
        left
    )
    back = run_together(2, lambda rank: lose(tmp_path / "broken", rank, None))
    assert all(torch.equal(back[0][k], v) for k, v in whole[0].items())
    assert all(torch.equal(back[1][k], v) for k, v in whole[0].items())


def test_signal_to_one_process_stops_all(tmp_path):
    def work(rank: int):
        stage = clip_stage(steps=6, batch_size=4)
        task = make_task(stage)
        chosen = make_trainer(task, stage, tmp_path, distributed=DistributedContext(device="cpu"))
        loss = task.loss

        def told(batch, whole):
            if rank == 1 and chosen.step == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return loss(batch, whole)

        task.loss = told
        chosen.run()

    ends = run_together(2, work)
    assert all(isinstance(end, InterruptedRunError) and end.exit_code == 143 for end in ends)
    assert "saved at step 3" in str(ends[0])  # step 2 was under way; all learn of it with step 3
    assert (tmp_path / "checkpoint-00000003.pt").exists()


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_bad_sample_of_one_process_is_handled_by_all(tmp_path, policy):
    def work(rank: int):
        stage = clip_stage(epochs=1, steps=None, batch_size=4)
        task = make_task(stage, BrokenClips)
        chosen = make_trainer(
            task, stage, tmp_path, distributed=DistributedContext(device="cpu"), bad_samples=policy, workers=1
        )
        chosen.run()
        return chosen.step

    ends = run_together(2, work)
    if policy == "stop":
        assert all(isinstance(end, DataError) and "clip-3.png: cut short" in str(end) for end in ends)
        return
    assert ends == [3, 3]
    rows = [json.loads(line) for line in (tmp_path / "bad_samples.jsonl").read_text().splitlines()]
    assert [row["reason"] for row in rows] == ["clip-3.png: cut short"]


def test_micro_batches_split_a_step_evenly():
    assert split_evenly(range(7), 3) == [range(0, 2), range(2, 5), range(5, 7)]
    taken = [
        list(micro_batch_items(1, 3, items_per_step=8, micro_batches=2, rank=r, world_size=2))
        for r in range(2)
    ]
    assert taken == [[[8, 9], [12, 13], [16, 17], [20, 21]], [[10, 11], [14, 15], [18, 19], [22, 23]]]
    with pytest.raises(
        UsageError, match="a step of 3 items cannot be split over 2 processes with 2 micro-batches each"
    ):
        next(micro_batch_items(0, 1, items_per_step=3, micro_batches=2, rank=0, world_size=2))


def test_fp16_without_a_gpu_is_refused():
    with pytest.raises(UsageError, match="precision=fp16 requires a GPU"):
        DistributedContext(precision="fp16", device="cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_training_on_a_gpu_learns(tmp_path, precision):
    stage = clip_stage(steps=40, batch_size=4)
    task = make_task(stage)
    callback = RecordingCallback()
    processes = DistributedContext(precision=precision, device="cuda")
    make_trainer(task, stage, tmp_path, callback, processes, workers=1).run()
    losses = [stats.loss for stats in callback.steps]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
