"""torchvggish's modules, loaded one by one: the package's own import needs libraries that we do not have."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np


@cache
def torchvggish(module: str) -> ModuleType:
    package = importlib.util.find_spec("torchvggish")
    assert package is not None and package.submodule_search_locations, (
        "torchvggish is a development dependency"
    )
    path = Path(package.submodule_search_locations[0]) / f"{module}.py"
    spec = importlib.util.spec_from_file_location(f"reference_{module}", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def reference_patches(wave: np.ndarray) -> np.ndarray:
    """torchvggish's own patches of a 16 kHz sound, f64 [N,96,64]."""
    features = torchvggish("mel_features")
    spectrogram = features.log_mel_spectrogram(
        wave, 16000, log_offset=0.01, num_mel_bins=64, lower_edge_hertz=125, upper_edge_hertz=7500
    )
    return features.frame(spectrogram, 96, 96)
