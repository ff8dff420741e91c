"""A model on its way to other machines, by its content."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from save_avs._files import atomic_write
from save_avs.models.serialization import CONFIG, WEIGHTS, read_config
from save_avs.runtimes.loading import find_model_folder
from save_avs.weights.cache import cache_dir, find_weights
from save_avs.weights.identity import sha256_of

_BASE = "base"  # subfolder of the weights that a model builds on


@dataclass(frozen=True)
class ModelPackage:
    """A model to load anywhere."""

    name: str  # its folder here; unused where ``files`` holds the content
    sha256: str  # of the trained weights: what results of a run have in common
    files: Any = None  # contents by relative path, in Ray's object store; None where ``name`` is enough

    @classmethod
    def find(cls, name: str) -> Self:
        """Find a model on this machine."""
        folder = find_model_folder(name)
        return cls(str(folder.absolute()), sha256_of(folder / WEIGHTS))

    def with_content(self) -> Self:
        """Put the model's files, and the base weights that it needs, into Ray's object store once."""
        import ray

        folder = Path(self.name)
        base = {f"{_BASE}/{ref.name}": find_weights(ref) for _, ref in read_config(folder).pretrained if ref}
        paths = {name: folder / name for name in (CONFIG, WEIGHTS)} | base
        return replace(self, files=ray.put({name: path.read_bytes() for name, path in paths.items()}))

    def unpack(self) -> tuple[str, Path | None]:
        """Return what ``load_model`` takes on this machine: a folder, and a folder of base weights.

        Content goes into this machine's cache, once; what is there is compared by its sha256.
        """
        if self.files is None:
            return self.name, None
        import ray

        folder = cache_dir() / "batch" / self.sha256
        files: dict[str, bytes] = ray.get(self.files)
        for name, content in files.items():
            target = folder / name
            if not target.is_file() or sha256_of(target) != hashlib.sha256(content).hexdigest():
                atomic_write(target, content)
        return str(folder), folder / _BASE
