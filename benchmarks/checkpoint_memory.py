"""Memory of each process while a sharded run (FSDP2) writes a checkpoint.

    python -m benchmarks.checkpoint_memory [PROCESSES]

A model of about 40 million parameters, nearly all of them trained. Prints, per process, the resident memory
before the save and how much its peak during the save was above that.
"""

import ctypes
import gc
import re
import sys
import tempfile
from pathlib import Path

import torch

from save_avs.training.avs_task import AVSegmentationTask
from save_avs.training.distributed import DistributedContext
from tests.support.distributed_run import run_together
from tests.support.recording_callback import make_trainer
from tests.support.tiny_model import SAM, tiny_model
from tests.support.training_clips import Clips, clip_stage, make_clip

PROCESSES = int(sys.argv[1]) if len(sys.argv) > 1 else 2
ENCODER = {**SAM, "embed_dim": 512, "depth": 12, "num_heads": 8, "mlp_ratio": 4.0}


def memory_mb(key: str) -> float:
    return int(re.findall(rf"{key}:\s*(\d+)", Path("/proc/self/status").read_text())[0]) / 1000


def measure(folder: Path) -> tuple[float, float, float]:
    """Return the megabytes of the state of one process, before a save, and of the save's peak above it."""
    stage = clip_stage(steps=1, batch_size=4, trainable=["image_encoder", "adapter"])
    clips = Clips([make_clip(k) for k in range(8)])
    task = AVSegmentationTask(tiny_model(sam=ENCODER), stage, train=clips, val=clips)
    trainer = make_trainer(task, stage, folder, distributed=DistributedContext(device="cpu", sharding="full"))
    trainer.run()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = memory_mb("VmRSS")
    trainer.step += 1
    trainer._save_checkpoint()
    if hasattr(trainer.checkpoints, "wait"):
        trainer.checkpoints.wait()
    state = sum(p.numel() for p in trainer.train_step.parameters.values()) * 4 * 4 / 1e6
    return state, before, memory_mb("VmHWM") - before


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        for rank, figures in enumerate(run_together(PROCESSES, lambda _: measure(Path(name)))):
            state, before, peak = figures
            print(f"process {rank}: whole state {state:.0f} MB, before {before:.0f} MB, save +{peak:.0f} MB")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
