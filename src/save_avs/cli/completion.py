"""What a shell may complete besides commands and options: names that are known here."""

from __future__ import annotations

from importlib.resources import files


def model_names(incomplete: str) -> list[str]:
    """Bundled models; a folder is completed by the shell itself."""
    bundled = (files("save_avs") / "bundled").iterdir()
    names = sorted(folder.name for folder in bundled if (folder / "config.json").is_file())
    return [name for name in names if name.startswith(incomplete)]


def weight_names(incomplete: str) -> list[tuple[str, str]]:
    """Published weights that can be fetched, with what they are."""
    from save_avs.weights.registry import PRETRAINED_WEIGHTS

    return [
        (known.name, known.description)
        for known in PRETRAINED_WEIGHTS.values()
        if known.name.startswith(incomplete)
    ]
