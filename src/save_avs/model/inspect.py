"""What a weight file or a model folder is: whose, of which size, whether complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from save_avs.audio.backbone import AudioBackbone, network_part
from save_avs.audio.registry import BACKBONES
from save_avs.checkpoints.cache import find_file, recorded
from save_avs.checkpoints.content import file_format, flaw
from save_avs.checkpoints.folder import weights_file
from save_avs.checkpoints.identity import Identity, identify
from save_avs.checkpoints.known import KNOWN, Known, KnownFile, recognise
from save_avs.checkpoints.load import differences
from save_avs.checkpoints.remap import is_transformers_sam, sam_from_transformers
from save_avs.checkpoints.safe import read_weights
from save_avs.errors import SaveAvsError
from save_avs.media.regular import read_regular
from save_avs.model.base import AUDIO, SAM
from save_avs.model.build import build_save
from save_avs.model.files import CONFIG, read_config
from save_avs.sam import PRESETS, SamShape, build_sam
from save_avs.sam.load import infer_shape


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
    identity: Identity | None = None
    known: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def inspect(path: str | Path) -> Inspection:
    """Find out what a weight file, a Hugging Face folder or a model folder is.

    Its bytes are looked at first, and compared with the published file of its name; only what passes is
    read, and then tensors only.

    Raises:
        UsageError: when nothing is there.
    """
    path = Path(path)
    file = weights_file(path)
    if file.stat().st_size == 0:
        return Inspection(file, problems=["it is empty (0 bytes)"])
    found = Inspection(file, identity=identify(file))
    found.known, wrong = _standing(file, found.identity)
    if problem := wrong or flaw(file):
        found.problems.append(problem)
        return found
    try:
        state = read_weights(file)
        if path.is_dir() and _is_save(path / CONFIG):
            found.known = "no: a model's own weights"
            _inspect_save(path, state, found)
        else:
            _inspect_state(state, found)
    except SaveAvsError as error:
        found.problems.append(str(error).removeprefix(f"{file}: "))
    return found


def _standing(file: Path, identity: Identity | None) -> tuple[str, str | None]:
    """How a file stands to the published ones, and what contradicts the name it bears."""
    assert identity is not None
    if (whole := recognise(identity)) is not None:
        return f"{whole.name} ({whole.origin})", None
    named = _published(file)
    if named is not None and (wrong := named[1].contradiction(identity.size, identity.sha256)):
        return "", f"it bears the name of {named[0].name}, but {wrong}"
    before = recorded(file)
    if before is None:
        return ("" if named is None else f"by its name and size {named[0].name}; {named[0].origin}"), None
    if not before.same_file(identity):
        return "", f"it is not the file that was fetched (sha256 {before.sha256[:12]}...)"
    return f"{before.name}, as recorded at its first download (no published sha256)", None


def _published(file: Path) -> tuple[Known, KnownFile] | None:
    """The published file of that name, where the name tells one."""
    pairs = [(known, known.weights) for known in KNOWN.values() if known.weights.file == file.name]
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
        found.what = f"{kind.title}, {file_format(found.file)}; {numbers}"
        found.problems += differences(backbone, network_part(kind, state, source=found.file.name))
        return
    names = "Meta's key names"
    if is_transformers_sam(state):
        state, names = sam_from_transformers(state), "transformers' key names"
    if not any(key.startswith("image_encoder.") for key in state):
        found.what = f"{numbers}, {file_format(found.file)}"
        found.problems.append("it is neither a SAM nor an audio backbone, by the names of its tensors")
        return
    shape = infer_shape(state, source=found.file.name)
    with torch.device("meta"):
        sam = build_sam(shape)
    found.what = f"SAM {sam_name(shape)}, {names}, {file_format(found.file)}; {numbers}"
    found.problems += differences(sam, state)


def _backbone_in(state: Mapping[str, Tensor]) -> AudioBackbone | None:
    """The audio backbone, without values, some of whose tensors are there; of several, the one that fits."""
    with torch.device("meta"):
        built = [kind() for kind in BACKBONES.values()]
    named = [backbone for backbone in built if state.keys() & backbone.state_dict().keys()]
    return min(named, key=lambda backbone: len(differences(backbone, state)), default=None)


def _numbers(state: Mapping[str, Tensor]) -> str:
    return f"{len(state)} tensors, {sum(tensor.numel() for tensor in state.values()) / 1e6:.1f} M numbers"


def sam_name(shape: SamShape) -> str:
    """What a SAM of those sizes is called."""
    for name, preset in PRESETS.items():
        if replace(shape, image_size=preset.image_size) == preset:
            return f"ViT-{name[-1].upper()} at {shape.image_size} px"
    return f"{shape.embed_dim} wide, {shape.depth} blocks, at {shape.image_size} px (no published size)"


def _inspect_save(folder: Path, state: Mapping[str, Tensor], found: Inspection) -> None:
    config = read_config(folder)
    bases = {SAM: config.bases.sam, AUDIO: config.bases.audio}
    kind = "what a SAVE adds to its bases" if config.bases else "a whole SAVE"
    found.what = f"{kind}: {config.name}, {config.image_size} px; {_numbers(state)}"
    with torch.device("meta"):
        model = build_save(config)
    given = tuple(prefix for prefix, identity in bases.items() if identity is not None)
    theirs = {k: v for k, v in model.state_dict().items() if k not in state and k.startswith(given)}
    adapters = [key for key in theirs if ".adapter." in key]  # no base has these
    whole = {**{k: v for k, v in theirs.items() if k not in adapters}, **state}
    found.problems += differences(model, whole)
    for identity in bases.values():
        if identity is None:
            continue
        try:
            found.notes.append(f"stands on {identity}: {find_file(identity)}")
        except SaveAvsError as error:
            found.problems.append(str(error))
