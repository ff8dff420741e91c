"""Masks in files, as `eval` scores and writes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from save_avs.errors import UsageError


@dataclass(frozen=True)
class MaskFiles:
    """Options of `eval` on masks in files."""

    read: list[Path]  # folders to score
    content: str  # what their 8-bit PNGs hold
    written: Path | None  # folder to write masks to, or None
    file_format: str  # of these
    overwrite: bool  # replace an existing folder

    def check(self, models: list[str]) -> None:
        """Raise UsageError on unknown values, or nothing to write."""
        from save_avs.evaluation.prediction_files import PNG_CONTENTS
        from save_avs.evaluation.predictions import MASK_FILE_FORMATS

        for value, option, known in (
            (self.content, "--masks-hold", PNG_CONTENTS),
            (self.file_format, "--mask-format", tuple(MASK_FILE_FORMATS)),
        ):
            if value not in known:
                raise UsageError(f"{option} {value}: choose from {', '.join(known)}")
        if self.written is None:
            return
        if not models:
            raise UsageError("--save-masks writes a model's masks: name a model")
        if self.written.exists() and not self.overwrite:
            raise UsageError(f"{self.written} already exists: name another folder, or add --overwrite")

    @contextmanager
    def open_writer(self, name: str | None) -> Iterator[Path | None]:
        """Yield the folder for the masks of a model, below that of all models if it has a ``name``."""
        from save_avs._files import atomic_folder

        if self.written is None:
            yield None
            return
        target = self.written if name is None else self.written / name
        with atomic_folder(target, overwrite=self.overwrite) as part:
            yield part
