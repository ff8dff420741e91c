"""Is what is shown of the inside what is there, and is the check of it able to fail?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from save_avs.errors import UsageError
from save_avs.metrics.bootstrap import Estimate
from save_avs.models import SAVE
from save_avs.synthesis.corpus import Corpus
from studies.interpretability import study_inside
from studies.interpretability.faithfulness import AVERAGE, TAKEN_OUT, measure, rank_correlation
from studies.interpretability.moments import moments_of
from studies.interpretability.projection import as_colors
from studies.interpretability.recorder import prompt_attention, record
from studies.interpretability.removal import Removal, hear, logits_without
from studies.interpretability.sounds import class_sounds, neighbors_first
from studies.interpretability.tests import Verdict
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import shake, tiny_batch, tiny_model


def shaken(**changes) -> SAVE:
    model = tiny_model(**changes)
    shake(model)
    return model


@pytest.fixture(scope="module")
def model() -> SAVE:
    return shaken()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(make_corpus(tmp_path_factory.mktemp("corpus")), "test")


def hooks_of(model: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_looking_changes_nothing_and_leaves_nothing(model) -> None:
    images, log_mel = tiny_batch()
    with torch.inference_mode():
        plain = model(images, log_mel)
    assert torch.equal(record(model, images, log_mel).logits, plain) and hooks_of(model) == 0
    with pytest.raises(ValueError, match="must be 64 x 64 pixels"):
        record(model, images[..., :32], log_mel)
    assert hooks_of(model) == 0


def test_blocks_are_caught_before_and_after_their_adapter(model) -> None:
    images, log_mel = tiny_batch()
    seen = record(model, images, log_mel)
    blocks = model.sam.image_encoder.blocks
    with torch.inference_mode():
        for i, block in enumerate(blocks):
            adapter, block.adapter = block.adapter, None
            without = block(seen.entering[i])
            block.adapter = adapter
            assert torch.allclose(seen.before_adapter(i), without, atol=1e-5)
            assert not torch.allclose(seen.leaving[i], without, atol=1e-3)
    injection = seen.injections[1]
    assert injection is not None
    assert torch.allclose(seen.entering[1], seen.leaving[0] + injection[:, None, None])
    tokens = seen.leaving[0]
    expected = injection.norm(dim=1) / tokens.flatten(1, 2).norm(dim=2).mean(dim=1)
    assert torch.allclose(seen.relative_norm(1), expected)


def test_the_attention_is_the_layers_own(model) -> None:
    images, log_mel = tiny_batch()
    layer = model.sam.mask_decoder.transformer.final_attn_token_to_image
    kept = {}
    hook = layer.register_forward_hook(lambda _, inputs, output: kept.update(inputs=inputs, output=output))
    seen = record(model, images, log_mel)
    hook.remove()
    attention = seen.attention["last look"]  # [B,heads,tokens,cells]
    with torch.inference_mode():
        values = layer.v_proj(kept["inputs"][2]).unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)
        made = layer.out_proj((attention @ values).transpose(1, 2).flatten(-2))
    assert torch.allclose(made, kept["output"], atol=1e-5)
    shown = prompt_attention(model, seen, "last look")
    assert shown.shape == (2, 4, 4) and torch.allclose(shown.sum(dim=(1, 2)), torch.ones(2), atol=1e-5)
    assert torch.allclose(shown.flatten(1), attention[:, :, -1].mean(dim=1))


def test_alike_in_color_is_alike() -> None:
    grid = np.random.default_rng(0).normal(size=(5, 4, 12)).astype(np.float32)
    same, other, moved = as_colors([grid, grid.copy(), grid + 3])
    assert (same == other).all() and (same != moved).any()
    ramp = np.zeros((1, 9, 6), np.float32)
    ramp[0, :, 2] = np.arange(9)
    (picture,) = as_colors([ramp])
    assert (np.diff(picture[0, :, 0].astype(int)) >= 0).all() and np.ptp(picture[0, :, 0]) == 255


def test_taking_nothing_out_is_the_model_and_all_of_it_is_none(model) -> None:
    images, log_mel = tiny_batch()
    sound = hear(model, log_mel)
    with torch.inference_mode():
        whole = model(images, log_mel)[:, 0]
        embeddings = model.sam.image_encoder(model.sam.preprocess(images))
        unheard, unprompted = model.decode(embeddings, sound.prompt), model.decode(embeddings, None)
    every = frozenset(sound.blocks)
    assert torch.allclose(logits_without(model, images, sound, Removal(frozenset()), None), whole, atol=1e-5)
    assert torch.allclose(
        logits_without(model, images, sound, Removal(every), None), unheard[:, 0], atol=1e-5
    )
    gone = logits_without(model, images, sound, Removal(every, prompt=True), None)
    assert torch.allclose(gone, unprompted[:, 0], atol=1e-5)
    assert not torch.allclose(gone, whole, atol=1e-3)


def test_a_sound_in_its_own_place_changes_nothing(model) -> None:
    images, log_mel = tiny_batch(frames=1)
    sound = hear(model, log_mel)
    whole = logits_without(model, images, sound, Removal(frozenset()), None)
    same = logits_without(model, images, sound, Removal(frozenset(sound.blocks), prompt=True), sound)
    assert torch.allclose(same, whole, atol=1e-5)


def test_a_block_without_sound_changes_nothing_when_it_is_taken_out(corpus) -> None:
    model = shaken(audio_adapter={"hidden": 24, "shared": False})
    for i in (0, 1):
        torch.nn.init.zeros_(model.audio_adapter.block_proj[i].weight)
        torch.nn.init.zeros_(model.audio_adapter.block_proj[i].bias)
    found = measure(model, corpus, class_sounds(model, corpus, seed=0).sounds.mean(), scenes=5, seed=0)
    assert found.blocks == (0, 1, 2) and found.claims.whole.shape == (5, 3)
    assert not found.claims.whole[:, :2].any() and (found.claims.whole[:, 2] > 0).all()
    for how in (TAKEN_OUT, AVERAGE):
        changes = found.changes[how]
        assert changes["block 1"].probability.max() < 1e-6 and not changes["block 2"].mask.any()
        assert (changes["block 3"].probability > 1e-5).all()


def test_classes_of_one_sound_are_wholly_alike(model, corpus) -> None:
    sounds = class_sounds(model, corpus, seed=0)
    cosines = sounds.cosines()
    assert sounds.names == corpus.sounding and np.allclose(np.diag(cosines), 1) and cosines.min() < 0.5
    assert sorted(neighbors_first(cosines)) == list(range(len(sounds.names)))
    assert 0 < sounds.common_share() < 1


def test_alike_classes_stand_together() -> None:
    place = np.random.default_rng(0).permutation(12)
    cosines = np.cos((place[:, None] - place) * np.pi / 24)  # classes along a line, in no order
    order = place[neighbors_first(cosines)]
    assert order.tolist() in (list(range(12)), list(range(11, -1, -1)))
    assert neighbors_first(np.ones((1, 1))) == [0]


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=30), rng.integers(0, 5, 30).astype(float)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(rank_correlation(first, np.ones(30)))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.6, 0.9, "holds"),
        (0.1, 0.9, "holds weakly"),
        (-0.1, 0.9, "does not hold"),
        (-0.9, -0.2, "is the contrary of what happens"),
    ],
)
def test_verdicts_are_read_off_intervals(low: float, high: float, words: str) -> None:
    assert Verdict("a", "b", "c", Estimate((low + high) / 2, low, high, 9)).words == words


def test_moments_are_the_frames_asked_for(video: Path) -> None:
    assert [m.time for m in moments_of(video, [3.04, 0.5])] == pytest.approx([0.5, 3.0])
    assert [m.time for m in moments_of(video)] == pytest.approx([0.5, 1.5, 2.5, 3.5])
    loud, quiet = moments_of(video, [1.0, 3.0])
    assert loud.patch.max() > 0 and quiet.patch.max() < -4
    with pytest.raises(UsageError, match="no frame at 9 s"):
        moments_of(video, [1.0, 9.0])


@pytest.mark.parametrize(
    "changes", [{}, {"audio_adapter": {"hidden": 24, "tokens": 0}}, {"image_adapter": None}]
)
def test_a_page_of_a_clip(video: Path, corpus: Corpus, tmp_path: Path, changes) -> None:
    model = shaken(**changes)
    report = study_inside(
        model, moments_of(video, [0.5, 1.5]), corpus, scenes=5, seed=0, setting={"seed": "0"}
    )
    report.save(tmp_path / "page")
    drawn = {path.stem for path in (tmp_path / "page/pictures").iterdir()}
    assert drawn >= {"attention", "injections", "classes", "faithfulness"}
    assert ("adapters" in drawn) == (changes != {"image_adapter": None})
    sheets = json.loads((tmp_path / "page/report.json").read_text())["sheets"]
    removed = {row["removed"] for row in sheets["removals"]["rows"]}
    assert removed >= {"nothing", "block 1", "block 3", "all blocks"}
    assert ("prompt" in removed) == ("audio_adapter" not in changes)
    assert sheets["claims"]["rows"][0]["the claim"] and "Taking sound out" in report.text[0]


def test_only_the_prompt_hears(video: Path, corpus: Corpus, tmp_path: Path) -> None:
    model = shaken(audio_adapter={"hidden": 24, "inject_into": "none"})
    report = study_inside(model, moments_of(video, [0.5]), corpus, scenes=3, seed=0, setting={})
    assert {c.name for c in report.charts} == {"attention", "adapters", "classes"}
    report.save(tmp_path / "page")


def test_a_model_that_does_not_hear_has_no_inside(video: Path, corpus: Corpus) -> None:
    model = shaken(audio_adapter={"hidden": 24, "inject_into": "none", "tokens": 0})
    with pytest.raises(UsageError, match="does not hear"):
        study_inside(model, moments_of(video, [0.5]), corpus, scenes=2, seed=0, setting={})
