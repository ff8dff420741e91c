"""ProtoNet, RelationNet and GAVS: formulas, interface, training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from studies.few_shot.baselines import Features, Gavs, ProtoNet, RelationNet, Support, extract_features
from studies.few_shot.baselines.prototypes import make_prototypes
from tests.support.tiny_model import shake, tiny_batch, tiny_model

SOUND = 128


@pytest.fixture(scope="module")
def save():
    model = tiny_model()
    shake(model)
    return model


def embedding(*places: tuple[slice, slice, int]) -> torch.Tensor:
    """An embedding [32,4,4] of background on axis 0, with classes on axes of their own."""
    image = torch.zeros(32, 4, 4)
    image[0] = 1
    for rows, columns, axis in places:
        image[:, rows, columns] = 0
        image[axis, rows, columns] = 1
    return image


def sound(*axes: int) -> torch.Tensor:
    return F.one_hot(torch.tensor(axes), SOUND).sum(0).float()


def mask(rows: slice, columns: slice) -> torch.Tensor:
    """At the decoder's size, four cells a cell."""
    cells = torch.zeros(1, 4, 4)
    cells[:, rows, columns] = 1
    return cells.repeat_interleave(4, 1).repeat_interleave(4, 2)


LEFT, RIGHT, ALL = slice(0, 2), slice(2, 4), slice(0, 4)


@pytest.fixture
def support() -> Support:
    """Class 0 is axis 1 with sound 5, seen left; class 1 is axis 2 with sound 6, seen right."""
    images = torch.stack([embedding((ALL, LEFT, 1)), embedding((ALL, RIGHT, 2))])
    features = Features(images, torch.stack([sound(5), sound(6)]))
    return Support(features, torch.stack([mask(ALL, LEFT), mask(ALL, RIGHT)]), torch.tensor([0, 1]))


@pytest.fixture
def query() -> Features:
    """Both classes in one image: axis 1 above, axis 2 below on the left; heard are 5, then 6."""
    image = embedding((LEFT, LEFT, 1), (RIGHT, LEFT, 2))
    return Features(torch.stack([image, image]), torch.stack([sound(5), sound(6)]))


def test_prototypes_are_means_under_the_masks(support):
    found = make_prototypes(support)
    assert torch.allclose(found.image, F.one_hot(torch.tensor([1, 2]), 32).float(), atol=1e-5)
    assert torch.equal(found.audio, support.features.audio)
    assert torch.allclose(found.background, F.one_hot(torch.tensor(0), 32).float(), atol=1e-5)


def test_each_shot_has_the_same_weight(support):
    image, other = support.features.image[0], embedding((slice(0, 1), slice(0, 1), 3))
    features = Features(torch.stack([image, other]), support.features.audio)
    masks = torch.stack([mask(ALL, LEFT), mask(slice(0, 1), slice(0, 1))])
    found = make_prototypes(Support(features, masks, torch.tensor([0, 0])))
    assert found.image[0, 1].item() == pytest.approx(0.5, abs=1e-4)
    assert found.image[0, 3].item() == pytest.approx(0.5, abs=1e-4)
    assert found.audio[0, 5] == found.audio[0, 6] == 0.5


def test_class_without_a_frame_is_rejected(support):
    with pytest.raises(ValueError, match="must have a frame"):
        make_prototypes(support._replace(classes=torch.tensor([0, 2])))


def test_protonet_segments_only_the_sounding_class(save, support, query):
    net = ProtoNet(save)
    net.set_support(support)
    logits = net.segment(query)
    assert logits.shape == (2, 1, 16, 16)
    marked = F.avg_pool2d((logits > 0).float(), 4)[:, 0] > 0.5
    first, second = torch.zeros(4, 4, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool)
    first[LEFT, LEFT] = second[RIGHT, LEFT] = True
    assert torch.equal(marked[0], first) and torch.equal(marked[1], second)


def test_protonet_matches_its_formula(save, support, query):
    net = ProtoNet(save)
    prototypes = make_prototypes(support)
    cosines = torch.zeros(3, 4, 4)  # background, class 0, class 1: the axes are orthogonal
    cosines[0] = 1
    cosines[0, :, LEFT] = 0
    cosines[1, LEFT, LEFT] = cosines[2, RIGHT, LEFT] = 1
    shown = (20 * cosines).softmax(0)
    seen, unseen = net.image_log_probs(query.image[:1], prototypes)
    assert torch.allclose(seen[0].exp(), shown[1:], atol=1e-5)
    assert torch.allclose(unseen[0].exp(), 1 - shown[1:], atol=1e-5)
    heard = (20 * torch.tensor([1.0, 0.0])).softmax(0)
    assert torch.allclose(net.audio_log_probs(query.audio[:1], prototypes)[0].exp(), heard, atol=1e-6)


class FixedProbabilities(ProtoNet):
    """A ProtoNet with given probabilities."""

    def __init__(self, save, heard, seen):
        super().__init__(save)
        self.given = heard, seen

    def audio_log_probs(self, sound, prototypes):
        return self.given[0].log()

    def image_log_probs(self, image, prototypes):
        return self.given[1].log(), (1 - self.given[1]).log()


def test_audio_probabilities_weight_image_probabilities(save, support, query):
    rng = torch.Generator().manual_seed(0)
    heard = torch.rand(2, 3, generator=rng).softmax(1)
    seen = torch.rand(2, 3, 1, 1, generator=rng).expand(-1, -1, 4, 4)
    net = FixedProbabilities(save, heard, seen)
    net.set_support(support)
    expected = torch.einsum("bn,bnhw->bhw", heard, seen)[:, 0, 0]
    assert torch.allclose(net.segment(query)[:, 0, 7, 7].sigmoid(), expected, atol=1e-6)


def test_relationnet_scores_are_independent_across_frames_and_classes(save, support, query):
    """A class's relation to a cell does not depend on other classes, nor a frame's on other frames."""
    torch.manual_seed(0)
    net = RelationNet(save).eval()
    prototypes = make_prototypes(support)
    both, _ = net.image_log_probs(query.image, prototypes)
    assert both.shape == (2, 2, 4, 4)
    assert torch.allclose(net.image_log_probs(query.image[1:], prototypes)[0], both[1:], atol=1e-5)
    pair = torch.cat([query.image[:1], prototypes.image[1:, :, None, None].expand(1, -1, 4, 4)], dim=1)
    assert torch.allclose(both[:1, 1:], F.logsigmoid(net.image_relation(pair)), atol=1e-5)
    scores = [net.audio_relation(torch.cat([query.audio[0], sound])).item() for sound in prototypes.audio]
    assert torch.allclose(
        net.audio_log_probs(query.audio[:1], prototypes)[0].exp(), torch.tensor(scores).softmax(0), atol=1e-5
    )


@pytest.mark.parametrize("kind", [ProtoNet, RelationNet])
def test_segment_without_support_is_rejected(save, query, kind):
    with pytest.raises(ValueError, match="has no classes"):
        kind(save).segment(query)


@pytest.mark.parametrize("kind", [ProtoNet, RelationNet, Gavs])
def test_baselines_have_the_models_interface(save, kind):
    net = kind(save).eval()
    images, log_mel = tiny_batch(3)
    if kind is not Gavs:
        features = extract_features(save, images, log_mel)
        net.set_support(Support(features, torch.ones(3, 1, 16, 16), torch.tensor([0, 1, 1])))
    logits = net(images, log_mel)
    assert logits.shape == save(images, log_mel).shape == (3, 1, 16, 16)
    assert torch.equal(net.segment(extract_features(save, images, log_mel)), logits)
    assert (net.image_size, net.resize, net.precision) == (save.image_size, save.resize, save.precision)
    assert not {id(p) for p in net.parameters()} & {id(p) for p in save.parameters()}


def test_image_features_do_not_depend_on_audio(save):
    images, log_mel = tiny_batch(2)
    features = extract_features(save, images, log_mel)
    other = extract_features(save, images, log_mel.flip(0))
    assert torch.equal(features.image, other.image) and not torch.equal(features.audio, other.audio)
    assert not features.image.requires_grad


def test_untrained_gavs_adapters_change_nothing_and_clones_are_independent(save):
    torch.manual_seed(0)
    net = Gavs(save, hidden=16).eval()
    features = extract_features(save, *tiny_batch(2))
    prompts = save.sam.prompt_encoder
    plain = save.sam.mask_decoder(
        features.image, prompts.get_dense_pe(), net.prompt(features), prompts.no_mask_dense(2), False
    )[0]
    before = net.segment(features)
    assert torch.allclose(before, plain, atol=1e-6)
    clone = net.clone_head()
    assert clone.save is net.save
    shake(clone)
    assert torch.equal(net.segment(features), before) and not torch.allclose(clone.segment(features), before)


def test_gavs_depends_on_audio_and_adds_noise_only_in_training(save):
    torch.manual_seed(0)
    net = Gavs(save, hidden=16).eval()
    features = extract_features(save, *tiny_batch(2))
    swapped = Features(features.image, features.audio.flip(0))
    assert not torch.allclose(net.segment(features), net.segment(swapped))
    assert torch.equal(net.segment(features), net.segment(features))
    net.train()
    assert not torch.equal(net.prompt(features), net.prompt(features))


def test_misalignment_is_one_minus_the_cosine_under_the_mask(save, support):
    torch.manual_seed(0)
    net = Gavs(save, hidden=16)
    sounds = net.align(support.features.audio).detach().numpy()
    expected = np.mean([1 - sounds[k, axis] / np.linalg.norm(sounds[k]) for k, axis in enumerate((1, 2))])
    found = net.misalignment(support.features, support.masks).item()
    assert found == pytest.approx(expected, abs=1e-5)
