"""What a weight file or a model folder is: whose, of which size, whether complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from save_avs._files import read_regular
from save_avs.errors import SaveAvsError
from save_avs.models.audio.backbone import AudioBackbone, network_part
from save_avs.models.audio.registry import BACKBONES
from save_avs.models.build import build_save
from save_avs.models.pretrained_delta import AUDIO, SAM
from save_avs.models.sam import PRESETS, SamConfig, build_sam
from save_avs.models.sam.load import infer_config
from save_avs.models.serialization import CONFIG, read_config
from save_avs.weights.cache import find_weights, find_weights_file, read_record
from save_avs.weights.identity import FileIdentity, identify_file
from save_avs.weights.key_remapping import is_transformers_sam, remap_transformers_sam
from save_avs.weights.registry import PRETRAINED_WEIGHTS, PretrainedWeights, WeightsFile, find_by_sha256
from save_avs.weights.state_dict import read_state_dict, state_dict_mismatches
from save_avs.weights.validation import detect_format, find_defect


@dataclass
class Inspection:
    """What was found out about a file.

    Attributes:
        file: the file that holds the weights.
        what: one phrase, empty where it could not be told.
        identity: name, size, sha256.
        known: how it stands to the published files.
        problems: what keeps it from being used, one phrase each; empty when it is fine.
        notes: further facts.
    """

    file: Path
    what: str = ""
    identity: FileIdentity | None = None
    known: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def inspect_weights(path: str | Path) -> Inspection:
    """Find out what a weight file, a Hugging Face folder or a model folder is.

    Its bytes are looked at first, and compared with the published file of its name; only what passes is
    read, and then tensors only.

    Raises:
        UsageError: when nothing is there.
    """
    path = Path(path)
    file = find_weights_file(path)
    if file.stat().st_size == 0:
        return Inspection(file, problems=["it is empty (0 bytes)"])
    found = Inspection(file, identity=identify_file(file))
    found.known, wrong = _standing(file, found.identity)
    if problem := wrong or find_defect(file):
        found.problems.append(problem)
        return found
    try:
        state = read_state_dict(file)
        if path.is_dir() and _is_save(path / CONFIG):
            found.known = "no: a model's own weights"
            _inspect_save(path, state, found)
        else:
            _inspect_state(state, found)
    except SaveAvsError as error:
        found.problems.append(str(error).removeprefix(f"{file}: "))
    return found


def _standing(file: Path, identity: FileIdentity | None) -> tuple[str, str | None]:
    """How a file stands to the published ones, and what contradicts the name it bears."""
    assert identity is not None
    if (whole := find_by_sha256(identity)) is not None:
        return f"{whole.name} ({whole.sha256_source})", None
    named = _published(file)
    if named is not None and (wrong := named[1].find_mismatch(identity.size, identity.sha256)):
        return "", f"it bears the name of {named[0].name}, but {wrong}"
    before = read_record(file)
    if before is None:
        return (
            "" if named is None else f"by its name and size {named[0].name}; {named[0].sha256_source}"
        ), None
    if not before.matches(identity):
        return "", f"it is not the file that was fetched (sha256 {before.sha256[:12]}...)"
    return f"{before.name}, as recorded at its first download (no published sha256)", None


def _published(file: Path) -> tuple[PretrainedWeights, WeightsFile] | None:
    """The published file of that name, where the name tells one."""
    pairs = [
        (known, known.weights) for known in PRETRAINED_WEIGHTS.values() if known.weights.file == file.name
    ]
    return pairs[0] if len(pairs) == 1 else None


def _is_save(config: Path) -> bool:
    try:
        return "audio_adapter" in json.loads(read_regular(config))
    except (OSError, ValueError, TypeError):
        return False


def _inspect_state(state: Mapping[str, Tensor], found: Inspection) -> None:
    numbers = _numbers(state)
    if (backbone := _backbone_in(state)) is not None:
        kind = type(backbone)
        found.what = f"{kind.title}, {detect_format(found.file)}; {numbers}"
        found.problems += state_dict_mismatches(backbone, network_part(kind, state, source=found.file.name))
        return
    names = "Meta's key names"
    if is_transformers_sam(state):
        state, names = remap_transformers_sam(state), "transformers' key names"
    if not any(key.startswith("image_encoder.") for key in state):
        found.what = f"{numbers}, {detect_format(found.file)}"
        found.problems.append("it is neither a SAM nor an audio backbone, by the names of its tensors")
        return
    shape = infer_config(state, source=found.file.name)
    with torch.device("meta"):
        sam = build_sam(shape)
    found.what = f"SAM {describe_sam(shape)}, {names}, {detect_format(found.file)}; {numbers}"
    found.problems += state_dict_mismatches(sam, state)


def _backbone_in(state: Mapping[str, Tensor]) -> AudioBackbone | None:
    """The audio backbone, without values, some of whose tensors are there; of several, the one that fits."""
    with torch.device("meta"):
        built = [kind() for kind in BACKBONES.values()]
    named = [backbone for backbone in built if state.keys() & backbone.state_dict().keys()]
    return min(named, key=lambda backbone: len(state_dict_mismatches(backbone, state)), default=None)


def _numbers(state: Mapping[str, Tensor]) -> str:
    return f"{len(state)} tensors, {sum(tensor.numel() for tensor in state.values()) / 1e6:.1f} M numbers"


def describe_sam(shape: SamConfig) -> str:
    """What a SAM of those sizes is called."""
    for name, preset in PRESETS.items():
        if replace(shape, image_size=preset.image_size) == preset:
            return f"ViT-{name[-1].upper()} at {shape.image_size} px"
    return f"{shape.embed_dim} wide, {shape.depth} blocks, at {shape.image_size} px (no published size)"


def _inspect_save(folder: Path, state: Mapping[str, Tensor], found: Inspection) -> None:
    config = read_config(folder)
    base_weights = {SAM: config.base_weights.sam, AUDIO: config.base_weights.audio}
    kind = "what a SAVE adds to its bases" if config.base_weights else "a whole SAVE"
    found.what = f"{kind}: {config.name}, {config.image_size} px; {_numbers(state)}"
    with torch.device("meta"):
        model = build_save(config)
    given = tuple(prefix for prefix, identity in base_weights.items() if identity is not None)
    theirs = {k: v for k, v in model.state_dict().items() if k not in state and k.startswith(given)}
    adapters = [key for key in theirs if ".adapter." in key]  # no base has these
    whole = {**{k: v for k, v in theirs.items() if k not in adapters}, **state}
    found.problems += state_dict_mismatches(model, whole)
    for identity in base_weights.values():
        if identity is None:
            continue
        try:
            found.notes.append(f"stands on {identity}: {find_weights(identity)}")
        except SaveAvsError as error:
            found.problems.append(str(error))
