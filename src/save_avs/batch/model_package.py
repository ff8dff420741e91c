"""A model on its way to other machines: by name where every machine has it, else by its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs.models.serialization import CONFIG, WEIGHTS, read_config
from save_avs.runtimes.loading import BUNDLED, find_model_folder
from save_avs.weights.cache import cache_dir, find_weights

_BASE = "base"  # subfolder of the weights that a model builds on


@dataclass(frozen=True)
class ModelPackage:
    """A model to load anywhere."""

    name: str  # bundled, or a local folder; unused where ``files`` holds the content
    sha256: str  # of the trained weights: what results of a run have in common
    files: Any = None  # contents by relative path, in Ray's object store; None where ``name`` is enough

    @classmethod
    def find(cls, name: str) -> ModelPackage:
        """Find a model on this machine."""
        folder = find_model_folder(name)
        sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        return cls(name if name in BUNDLED else str(folder.absolute()), sha256)

    def with_content(self) -> ModelPackage:
        """Put the model's files, and the base weights that it needs, into Ray's object store once."""
        if self.name in BUNDLED:
            return self
        import ray

        folder = Path(self.name)
        files = {name: (folder / name).read_bytes() for name in (CONFIG, WEIGHTS)}
        refs = read_config(folder).pretrained
        for identity in (refs.sam, refs.audio):
            if identity is not None:
                files[f"{_BASE}/{identity.name}"] = find_weights(identity).read_bytes()
        return ModelPackage(self.name, self.sha256, ray.put(files))

    def unpack(self) -> tuple[str, Path | None]:
        """Return what ``load_model`` takes on this machine: a name or folder, and a folder of base weights.

        Content goes into this machine's cache, once.
        """
        if self.files is None:
            return self.name, None
        import ray

        folder = cache_dir() / "batch" / self.sha256
        files: Any = ray.get(self.files)
        for name, content in files.items():
            target = folder / name
            if not target.is_file():
                atomic_write(target, content)
        return str(folder), folder / _BASE
