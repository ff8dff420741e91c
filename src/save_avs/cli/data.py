"""`save-avs data`: clips composed from a corpus, audio features and shards of datasets."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from save_avs.cli._console import plural, print_line
from save_avs.cli._options import DatasetName, DatasetRoot, Device, DryRun, Splits, check_new_folder
from save_avs.cli._progress import print_count
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.models.audio.pretrained_backbone import AudioBackbone

SPLITS = ("train", "val", "test", "zero-shot")
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def compose(
    corpus: Annotated[str, Argument(metavar="CORPUS", help="A corpus's folder, or: sample.")],
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", help="Folder to make.")],
    count: Annotated[int, Option(min=1, help="Number of clips.")] = 10,
    split: Annotated[
        str, Option(metavar="|".join(SPLITS), help="Split of the corpus to compose from.")
    ] = "test",
    seed: Annotated[int, Option(min=0, help="Seed; the same one gives the same clips.")] = 0,
    seconds: Annotated[float, Option(min=0.1, help="Length of a clip.")] = 8.0,
    size: Annotated[str, Option(metavar="WxH", help="Size of the frames.")] = "640x360",
    masks: Annotated[bool, Option("--masks", help="Write exact masks of each frame too.")] = False,
    dry_run: DryRun = False,
) -> int:
    """Compose clips in which objects on photographs take turns sounding, with exact masks.

    \b
    Examples:
      save-avs data compose sample -o clips
      save-avs data compose corpora/tuxpaint -o clips --count 20 --seconds 10 --masks
    """
    check_new_folder(output)
    pixels = parse_frame_size(size)
    if split not in SPLITS:
        raise UsageError(f"Unknown split '{split}': choose from {', '.join(SPLITS)}")
    if dry_run:
        print_line(f"would compose {plural(count, 'clip')} from {corpus} -> {output}")
        return 0
    from save_avs.synthesis.corpus import Corpus
    from save_avs.synthesis.video_export import write_scene_videos

    folder = write_scene_videos(
        Corpus.load(corpus, split),
        output,
        count=count,
        seed=seed,
        seconds=seconds,
        size=pixels,
        masks=masks,
        progress=partial(print_count, "clips"),
    )
    print_line(f"clips: {folder}")
    return 0


def parse_frame_size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT to (height, width)."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise UsageError(f"--size {text}: write it as WIDTHxHEIGHT, as in 640x360")
    return int(match[2]), int(match[1])


def features(
    name: DatasetName,
    root: DatasetRoot,
    audio: Annotated[str, Option(metavar="vggish|cnn14|...", help="Audio backbone.")] = "vggish",
    weights: Annotated[
        str | None,
        Option(
            metavar="FILE",
            show_default="the backbone's own, as fetched",
            help="Weights of the backbone: a file, published weights, or a model that contains it.",
        ),
    ] = None,
    output: Annotated[
        Path, Option("--output", "-o", metavar="CACHE", help="Folder for the features; may hold others.")
    ] = Path("runs/features"),
    split: Splits = None,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Compute the audio features of every clip once; run the same command again to resume.

    \b
    Examples:
      save-avs weights fetch vggish && save-avs data features s4 archives
      save-avs weights fetch cnn14-16k && save-avs data features s4 archives --audio cnn14
      save-avs data features ms3 archives --audio aisfx --weights save-small -o features
    """
    from save_avs.datasets import available_splits, open_dataset
    from save_avs.datasets.feature_cache import FeatureCache, backbone_identity, compute_features
    from save_avs.models.audio.registry import backbone_class
    from save_avs.runtimes.loading import resolve_device

    kind = backbone_class(audio)
    if weights is None and not kind.published_weights:
        raise UsageError(f"--weights is missing: give the model folder that contains the {audio} backbone")
    splits = dict.fromkeys(split or available_splits(name, root))
    datasets = [open_dataset(name, root, part, frontend=kind.frontend) for part in splits]
    if dry_run:
        for clips in datasets:
            of = f"{clips.name} {clips.split}: {plural(len(clips), 'clip')}"
            print_line(f"would compute {audio} features of {of} -> {output}")
        return 0
    backbone = _load_backbone(audio, weights or kind.published_weights[0])
    cache = FeatureCache(output, backbone_identity(audio, backbone))
    backbone.to(resolve_device(device))
    for clips in datasets:
        label = f"{clips.name} {clips.split}"
        new = compute_features(clips, backbone, cache, progress=partial(print_count, label))
        print_line(f"{label}: {plural(len(clips), 'clip')}, {new} new")
    print_line(f"features: {output / cache.backbone}")
    return 0


def _load_backbone(name: str, weights: str) -> AudioBackbone:
    """Load a backbone from a published file, fetched or given, or out of a model."""
    from save_avs.models.audio.pretrained_backbone import load_backbone
    from save_avs.models.audio.registry import backbone_class
    from save_avs.models.serialization import read_config
    from save_avs.runtimes import load_model
    from save_avs.runtimes.loading import BUNDLED, find_model_folder
    from save_avs.weights.cache import resolve_weights

    kind = backbone_class(name)
    if kind.published_weights and weights not in BUNDLED and not (Path(weights) / "config.json").exists():
        return load_backbone(kind, resolve_weights(weights))
    actual = read_config(find_model_folder(weights)).audio
    if actual != name:
        raise UsageError(f"{weights} contains the audio backbone {actual}, not {name}")
    return load_model(weights, device="cpu", precision="fp32").audio_backbone


def shard(
    name: DatasetName,
    root: DatasetRoot,
    output: Annotated[Path, Argument(metavar="OUT", help="Folder to make.")],
    split: Splits = None,
    size: Annotated[str, Option(metavar="SIZE", help="Approximate size of a shard: 64MB, 1GB.")] = "256MB",
    dry_run: DryRun = False,
) -> int:
    """Write a dataset as WebDataset tar files with an index; OUT can then be used in place of ROOT.

    \b
    Examples:
      save-avs data shard s4 archives shards/s4
      save-avs data shard avss archives shards/avss --split train --size 1GB
      save-avs train s4-256 stages.train.data.root=shards/s4
    """
    from save_avs.datasets import available_splits, open_dataset
    from save_avs.datasets.shards import has_shards, write_shards
    from save_avs.datasets.stored_files import data_path

    limit = parse_size(size)
    check_new_folder(output)
    if has_shards(data_path(root)):
        raise UsageError(f"{root} contains shards already: copy them as they are")
    splits = dict.fromkeys(split or available_splits(name, root))
    datasets = [open_dataset(name, root, part) for part in splits]
    if not any(map(len, datasets)):
        raise UsageError(f"{name} in {root} has no clips")
    if dry_run:
        for clips in datasets:
            print_line(f"would shard {name} {clips.split}: {plural(len(clips), 'clip')} -> {output}")
        return 0
    folder = write_shards(
        datasets, output, shard_bytes=limit, progress=lambda part, *done: print_count(f"{name} {part}", *done)
    )
    for clips in datasets:
        shards = plural(len(list(folder.glob(f"{clips.split}-*.tar"))), "shard")
        print_line(f"{name} {clips.split}: {plural(len(clips), 'clip')} in {shards}")
    print_line(f"shards: {folder}")
    return 0


def parse_size(text: str) -> int:
    """Parse ``64MB``, ``1.5G`` or ``4096`` to bytes, in powers of ten; else a UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", text.strip(), re.IGNORECASE)
    if match is None or not float(match[1]):
        raise UsageError(f"--size {text}: write it as 64MB or 1GB")
    return round(float(match[1]) * UNITS[match[2].upper()])
