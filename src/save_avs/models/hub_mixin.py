"""Saving and loading in Hugging Face's manner: config, weights and card, in a folder or on a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.models.config import SaveConfig
    from save_avs.models.pretrained_delta import BaseWeightPaths


class Pretrained:
    """``save_pretrained`` and ``from_pretrained`` of a SAVE.

    Attributes:
        config: what the model is made of; None where it was not built from a config.
    """

    config: SaveConfig | None

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write config.json, model.safetensors and a model card into a folder, as a hub takes them.

        Raises:
            UsageError: when the model was not built from a config, or computes in bfloat16.
        """
        from save_avs.models.serialization import save_model

        if self.config is None:
            raise UsageError("a SAVE put together by hand has no config: save_folder(model, config, folder)")
        return save_model(self, self.config, folder)  # type: ignore[arg-type]

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        revision: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        base: BaseWeightPaths = None,
    ) -> Self:
        """Load a model from a folder, or from a hub by ``owner/name``; a folder of that name comes first.

        Args:
            name_or_path: what ``save_pretrained`` wrote, a repository, or a bundled model.
            revision: of a repository: a branch, a tag or a commit; None is ``main``.
            device: as ``load_model`` takes it, and so the next two.
            precision: of its arithmetic.
            base: where the checkpoints it stands on may lie.

        Raises:
            UsageError: when there is none.
            SaveAvsError: when the hub cannot be reached, or has other files than it tells.
        """
        from save_avs.models.loading import BUNDLED, load_model

        name = str(name_or_path)
        if name not in BUNDLED and not Path(name).is_dir():
            name = f"hf:{name.removeprefix('hf:')}" + (f"@{revision}" if revision else "")
        return load_model(name, device=device, precision=precision, base=base)  # type: ignore[return-value]
