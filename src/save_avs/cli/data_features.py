"""`save-avs data features`: what the audio backbone makes of every clip, computed once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import Device, DryRun
from save_avs.cli._progress import count
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.models.audio.backbone import AudioBackbone

EXAMPLES = """Examples:

\b
  save-avs weights fetch vggish && save-avs data features s4 archives
  save-avs weights fetch cnn14-16k && save-avs data features s4 archives --audio cnn14
  save-avs data features ms3 archives --audio compact --weights save-tiny -o features
"""


def features(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set: s4, ms3, v2, v3-0, ...")],
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", help="The folder into which its archive was unpacked.")
    ],
    audio: Annotated[
        str, typer.Option("--audio", metavar="vggish|cnn14|...", help="The audio backbone.")
    ] = "vggish",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            show_default="the backbone's own, as fetched",
            help="Its weights: their file or what `weights fetch` calls them, or a model that holds it.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="CACHE", help="Where they are kept; may hold others.")
    ] = Path("runs/features"),
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="train|val|test", show_default="all", help="Of which split."),
    ] = None,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Compute the audio features of every clip, once; a run that was stopped goes on where it was."""
    from save_avs.datasets import available_splits, open_dataset
    from save_avs.datasets.feature_cache import FeatureCache, backbone_identity, compute_features
    from save_avs.models.audio.registry import backbone_class
    from save_avs.runtimes.loading import resolve_device

    kind = backbone_class(audio)
    if weights is None and not kind.published_weights:
        raise UsageError(f"--weights is missing: the model folder that holds the {audio} backbone")
    chosen = dict.fromkeys(split or available_splits(name, root))
    sets = [open_dataset(name, root, part, frontend=kind.frontend) for part in chosen]
    if dry_run:
        for clips in sets:
            print_line(f"would hear {clips.name} {clips.split}: {len(clips)} clips by {audio} -> {output}")
        return 0
    backbone = _load(audio, weights or kind.published_weights[0])
    cache = FeatureCache(output, backbone_identity(audio, backbone))
    backbone.to(resolve_device(device))
    for clips in sets:
        progress = partial(count, f"{clips.name} {clips.split}")
        new = compute_features(clips, backbone, cache, progress=progress)
        print_line(f"{clips.name} {clips.split}: {len(clips)} clips, {new} new")
    print_line(f"features: {output / cache.backbone}")
    return 0


def _load(name: str, weights: str) -> AudioBackbone:
    """A backbone from a published file, fetched or given, or out of a model."""
    from save_avs.models.audio.backbone import load_backbone
    from save_avs.models.audio.registry import backbone_class
    from save_avs.models.serialization import read_config
    from save_avs.runtimes import load_model
    from save_avs.runtimes.loading import BUNDLED, find_model_folder
    from save_avs.weights.cache import resolve_weights

    kind = backbone_class(name)
    if kind.published_weights and weights not in BUNDLED and not (Path(weights) / "config.json").exists():
        return load_backbone(kind, resolve_weights(weights))
    held = read_config(find_model_folder(weights)).audio
    if held != name:
        raise UsageError(f"{weights} holds the audio backbone {held}, not {name}")
    return load_model(weights, device="cpu", precision="fp32").audio_backbone
