"""Inspection of a weight file or a model folder: which network, of which size, whether complete."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from save_avs.errors import SaveAvsError
from save_avs.models.audio.pretrained_backbone import AudioBackbone, backbone_state
from save_avs.models.audio.registry import BACKBONES
from save_avs.models.build import build_save
from save_avs.models.pretrained import AUDIO_PREFIX, SAM_PREFIX, STEM_PREFIX
from save_avs.models.sam import PRESETS, SamConfig, build_sam
from save_avs.models.sam.checkpoint import infer_config
from save_avs.models.serialization import is_save_folder, read_config
from save_avs.weights.cache import find_weights, find_weights_file, read_record
from save_avs.weights.file_check import detect_format, find_defect
from save_avs.weights.identity import FileIdentity, identify_file
from save_avs.weights.registry import find_by_sha256, pretrained_weights
from save_avs.weights.state_dict import on_meta_device, read_state_dict, state_dict_mismatches
from save_avs.weights.transformers_sam_keys import is_transformers_sam, remap_transformers_sam


@dataclass
class Inspection:
    """What was found out about a weight file."""

    file: Path  # the file that holds the weights
    description: str = ""  # one phrase, empty when the file was not recognized
    identity: FileIdentity | None = None  # name, size, sha256
    published: str = ""  # which published file it is, and how that is known
    # what prevents its use, one phrase each; empty when there is none
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # further facts


def inspect_weights(path: str | Path) -> Inspection:
    """Inspect a weight file, a Hugging Face folder or a model folder.

    Its bytes are checked first, and compared with the published file of its name; only what passes is read,
    and then tensors only.
    """
    path = Path(path)
    file = find_weights_file(path)
    if file.stat().st_size == 0:
        return Inspection(file, problems=["it is empty (0 bytes)"])
    identity = identify_file(file)
    found = Inspection(file, identity=identity)
    found.published, mismatch = _match_published(file, identity)
    if problem := mismatch or find_defect(file):
        found.problems.append(problem)
        return found
    try:
        state = read_state_dict(file)
        if is_save_folder(path):
            found.published = "no: a model's own weights"
            _inspect_save(path, state, found)
        else:
            _inspect_state(state, found)
    except SaveAvsError as error:
        found.problems.append(str(error).removeprefix(f"{file}: "))
    return found


def _match_published(file: Path, identity: FileIdentity) -> tuple[str, str | None]:
    """Which published file it is, and what contradicts its name."""
    if (match := find_by_sha256(identity)) is not None:
        return f"{match.name} ({match.sha256_source})", None
    same_name = [weights for weights in pretrained_weights().values() if weights.weights.file == file.name]
    named = same_name[0] if len(same_name) == 1 else None
    if named is not None and (wrong := named.weights.find_mismatch(identity.size, identity.sha256)):
        return "", f"it is named like {named.name}, but {wrong}"
    before = read_record(file)
    if before is None:
        return f"by its name and size {named.name}; {named.sha256_source}" if named else "", None
    if not before.matches(identity):
        return "", f"it is not the file that was fetched (sha256 {before.sha256[:12]}...)"
    return f"{before.name}, as recorded at its first download", None


def _inspect_state(state: Mapping[str, Tensor], found: Inspection) -> None:
    size = _describe_size(state)
    if (backbone := _matching_backbone(state)) is not None:
        kind = type(backbone)
        found.description = f"{kind.title}, {detect_format(found.file)}; {size}"
        own = backbone_state(kind, state, source=found.file.name)
        found.problems += state_dict_mismatches(backbone, own)
        return
    names = "Meta's key names"
    if is_transformers_sam(state):
        state, names = remap_transformers_sam(state), "transformers' key names"
    if not any(key.startswith("image_encoder.") for key in state):
        found.description = f"{size}, {detect_format(found.file)}"
        found.problems.append("it is neither a SAM nor an audio backbone, by the names of its tensors")
        return
    config, image_size = infer_config(state, source=found.file.name)
    with on_meta_device():
        sam = build_sam(config, image_size=image_size)
    name = describe_sam(config, image_size)
    found.description = f"SAM {name}, {names}, {detect_format(found.file)}; {size}"
    found.problems += state_dict_mismatches(sam, state)


def _matching_backbone(state: Mapping[str, Tensor]) -> AudioBackbone | None:
    """The audio backbone, on the meta device, that shares keys with a state; of several the best match."""
    with on_meta_device():
        built = [kind() for kind in BACKBONES.values()]
    sharing = [backbone for backbone in built if state.keys() & backbone.state_dict().keys()]
    return min(sharing, key=lambda backbone: len(state_dict_mismatches(backbone, state)), default=None)


def _describe_size(state: Mapping[str, Tensor]) -> str:
    parameters = sum(tensor.numel() for tensor in state.values())
    return f"{len(state)} tensors, {parameters / 1e6:.1f} M parameters"


def describe_sam(config: SamConfig, image_size: int) -> str:
    """The usual name of a SAM of those sizes."""
    for name, preset in PRESETS.items():
        if config == preset:
            return f"ViT-{name[-1].upper()} at {image_size} px"
    return f"{config.embed_dim} wide, {config.depth} blocks, at {image_size} px (no published size)"


def _inspect_save(folder: Path, state: Mapping[str, Tensor], found: Inspection) -> None:
    config = read_config(folder)
    given = config.pretrained
    refs = {SAM_PREFIX: given.sam, AUDIO_PREFIX: given.audio, STEM_PREFIX: given.stem}
    kind = "the trained part of a SAVE" if config.pretrained else "a whole SAVE"
    found.description = f"{kind}: {config.name}, {config.image_size} px; {_describe_size(state)}"
    with on_meta_device():
        model = build_save(config)
    prefixes = tuple(prefix for prefix, identity in refs.items() if identity is not None)
    pretrained = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if key.startswith(prefixes) and ".adapter." not in key  # no checkpoint has adapters
    }
    found.problems += state_dict_mismatches(model, {**pretrained, **state})
    for identity in refs.values():
        if identity is None:
            continue
        try:
            found.notes.append(f"requires {identity}: {find_weights(identity)}")
        except SaveAvsError as error:
            found.problems.append(str(error))
