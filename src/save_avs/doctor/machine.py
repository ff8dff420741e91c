"""The processor, and the devices that a model may run on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from save_avs.doctor.finding import Finding
from save_avs.models.precision import has_native_bf16

SECTION = "machine"
GB = 1e9
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16", "asimd", "sve")  # that decide about speed


def processor() -> Iterator[Finding]:
    """What computes, how many of it, and what it can multiply."""
    name, flags = _processor()
    threads = torch.get_num_threads()
    yield Finding(SECTION, "processor", name)
    yield Finding(SECTION, "cores", os.cpu_count())
    yield Finding(SECTION, "torch threads", threads)
    yield Finding(SECTION, "features", [feature for feature in FEATURES if feature in flags])
    yield Finding(SECTION, "multiplies bfloat16", has_native_bf16(torch.device("cpu")))
    yield Finding(SECTION, "memory", f"{psutil.virtual_memory().total / GB:.1f} GB")


def _processor() -> tuple[str, set[str]]:
    """Its name and its features; Linux tells both."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags") or fields.get("Features") or ""
    return fields.get("model name") or platform.processor() or platform.machine(), set(flags.split())


def devices() -> Iterator[Finding]:
    """What ``--device`` may name."""
    found = ["cpu"]
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        found.append(f"cuda:{i} ({about.name}, {about.total_memory / GB:.0f} GB)")
    yield Finding(SECTION, "devices", found)
