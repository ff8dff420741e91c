"""The base class of audio backbones, and loading their published weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from torch import Tensor, nn

from save_avs.audio.frontend import Frontend, mel_filters
from save_avs.errors import SaveAvsError
from save_avs.weights.state_dict import on_meta_device, read_state_dict, strict_load

_FILTER_TOLERANCE = 1e-4  # of the largest weight; float32 leaves 1e-6, another mel scale is off by 0.1


class AudioBackbone(nn.Module):
    """A network from the log-mel patches of its front-end, f32 [N,1,frames,bands], to vectors [N,dim].

    Attributes:
        dim: width of its vectors.
        frontend: the front-end that computes its input.
        published_weights: names of its weights for `save-avs weights fetch`, the default first.
        ignored_prefixes: prefixes of the keys in published files that are not the network's: classifiers, and
            constants of their own front-ends.
        mel_filters_key: the key, among those, of the mel filters that the network was trained with.
    """

    title: ClassVar[str]
    dim: ClassVar[int]
    frontend: ClassVar[Frontend]
    published_weights: ClassVar[tuple[str, ...]] = ()
    ignored_prefixes: ClassVar[tuple[str, ...]] = ()
    mel_filters_key: ClassVar[str | None] = None


_Backbone = TypeVar("_Backbone", bound=AudioBackbone)


def load_backbone(kind: type[_Backbone], path: str | Path) -> _Backbone:
    """Load a backbone's checkpoint: on the CPU, float32, frozen, in evaluation mode."""
    state = backbone_state(kind, read_state_dict(path), source=str(path))
    with on_meta_device():
        model = kind()
    model.to_empty(device="cpu")
    strict_load(model, state, source=str(path))
    return model.requires_grad_(False).eval()


def backbone_state(
    kind: type[AudioBackbone], state: Mapping[str, Tensor], *, source: str
) -> dict[str, Tensor]:
    """The network's own tensors of a published state dict."""
    if kind.mel_filters_key is not None and kind.mel_filters_key in state:
        _check_filters(kind, state[kind.mel_filters_key], source)
    return {key: tensor for key, tensor in state.items() if not key.startswith(kind.ignored_prefixes)}


def _check_filters(kind: type[AudioBackbone], stored: Tensor, source: str) -> None:
    frontend = kind.frontend
    ours = mel_filters(frontend.mel, frontend.sample_rate, frontend.n_fft)  # [bins,bands]
    theirs = stored.double().numpy()
    theirs = theirs if theirs.shape == ours.shape else theirs.T
    if theirs.shape != ours.shape or np.abs(theirs - ours).max() > _FILTER_TOLERANCE * ours.max():
        raise SaveAvsError(
            f"{source} was trained with other mel filters than the front-end of {kind.title} has"
        )
