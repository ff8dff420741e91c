"""The interpretability study: recordings, ablations, tests of claims."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from save_avs.errors import UsageError
from save_avs.metrics.bootstrap_and_permutation import Estimate
from save_avs.models import SAVE
from save_avs.synthesis.corpus import Corpus
from studies.interpretability import read_frames_at, run_interpretability
from studies.interpretability.ablation import Ablation, ablated_logits, embed_audio
from studies.interpretability.charts import tokens_to_colors
from studies.interpretability.claims import ClaimTest
from studies.interpretability.faithfulness import AVERAGED, REMOVED, measure_faithfulness, rank_correlation
from studies.interpretability.recorder import FINAL_ATTENTION, prompt_attention, record
from studies.interpretability.sounds import class_embeddings, seriation_order
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


def test_record_changes_nothing_and_removes_its_hooks(model) -> None:
    images, log_mel = tiny_batch()
    with torch.inference_mode():
        plain = model(images, log_mel)
    assert torch.equal(record(model, images, log_mel).logits, plain) and hooks_of(model) == 0
    with pytest.raises(ValueError, match="must be 64 x 64 pixels"):
        record(model, images[..., :32], log_mel)
    assert hooks_of(model) == 0


def test_record_keeps_tokens_before_and_after_adapters(model) -> None:
    images, log_mel = tiny_batch()
    recording = record(model, images, log_mel)
    blocks = model.sam.image_encoder.blocks
    with torch.inference_mode():
        for i, block in enumerate(blocks):
            adapter, block.adapter = block.adapter, None
            without = block(recording.block_inputs[i])
            block.adapter = adapter
            assert torch.allclose(recording.before_adapter(i), without, atol=1e-5)
            assert not torch.allclose(recording.block_outputs[i], without, atol=1e-3)
    injection = recording.injections[1]
    assert injection is not None
    assert torch.allclose(recording.block_inputs[1], recording.block_outputs[0] + injection[:, None, None])
    tokens = recording.block_outputs[0]
    expected = injection.norm(dim=1) / tokens.flatten(1, 2).norm(dim=2).mean(dim=1)
    assert torch.allclose(recording.relative_norm(1), expected)


def test_recorded_attention_is_the_layers_own(model) -> None:
    images, log_mel = tiny_batch()
    layer = model.sam.mask_decoder.transformer.final_attn_token_to_image
    kept = {}
    hook = layer.register_forward_hook(lambda _, inputs, output: kept.update(inputs=inputs, output=output))
    recording = record(model, images, log_mel)
    hook.remove()
    attention = recording.attention[FINAL_ATTENTION]  # [B,heads,tokens,cells]
    with torch.inference_mode():
        values = layer.v_proj(kept["inputs"][2]).unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)
        made = layer.out_proj((attention @ values).transpose(1, 2).flatten(-2))
    assert torch.allclose(made, kept["output"], atol=1e-5)
    shown = prompt_attention(model, recording, FINAL_ATTENTION)
    assert shown.shape == (2, 4, 4) and torch.allclose(shown.sum(dim=(1, 2)), torch.ones(2), atol=1e-5)
    assert torch.allclose(shown.flatten(1), attention[:, :, -1].mean(dim=1))


def test_equal_tokens_have_equal_colors() -> None:
    grid = np.random.default_rng(0).normal(size=(5, 4, 12)).astype(np.float32)
    same, other, moved = tokens_to_colors([grid, grid.copy(), grid + 3])
    assert (same == other).all() and (same != moved).any()
    ramp = np.zeros((1, 9, 6), np.float32)
    ramp[0, :, 2] = np.arange(9)
    (image,) = tokens_to_colors([ramp])
    assert (np.diff(image[0, :, 0].astype(int)) >= 0).all() and np.ptp(image[0, :, 0]) == 255


def test_ablation_of_nothing_and_of_everything(model) -> None:
    images, log_mel = tiny_batch()
    sound = embed_audio(model, log_mel)
    with torch.inference_mode():
        whole = model(images, log_mel)[:, 0]
        embeddings = model.sam.image_encoder(model.sam.preprocess(images))
        unheard, unprompted = model.decode(embeddings, sound.prompt), model.decode(embeddings, None)
    every = frozenset(sound.blocks)
    assert torch.allclose(ablated_logits(model, images, sound, Ablation(frozenset()), None), whole, atol=1e-5)
    assert torch.allclose(
        ablated_logits(model, images, sound, Ablation(every), None), unheard[:, 0], atol=1e-5
    )
    gone = ablated_logits(model, images, sound, Ablation(every, prompt=True), None)
    assert torch.allclose(gone, unprompted[:, 0], atol=1e-5)
    assert not torch.allclose(gone, whole, atol=1e-3)


def test_replacing_a_sound_by_itself_changes_nothing(model) -> None:
    images, log_mel = tiny_batch(frames=1)
    sound = embed_audio(model, log_mel)
    whole = ablated_logits(model, images, sound, Ablation(frozenset()), None)
    same = ablated_logits(model, images, sound, Ablation(frozenset(sound.blocks), prompt=True), sound)
    assert torch.allclose(same, whole, atol=1e-5)


def test_ablating_a_block_without_sound_changes_nothing(corpus) -> None:
    model = shaken(audio_adapter={"hidden": 24, "shared": False})
    for i in (0, 1):
        torch.nn.init.zeros_(model.audio_adapter.block_proj[i].weight)
        torch.nn.init.zeros_(model.audio_adapter.block_proj[i].bias)
    found = measure_faithfulness(
        model, corpus, class_embeddings(model, corpus, seed=0).audio.mean(), scenes=5, seed=0
    )
    assert found.blocks == (0, 1, 2) and found.norms.shape == (5, 3)
    assert not found.norms[:, :2].any() and (found.norms[:, 2] > 0).all()
    for kind in (REMOVED, AVERAGED):
        changes = found.changes[kind]
        assert changes["block 1"].probability.max() < 1e-6 and not changes["block 2"].mask.any()
        assert (changes["block 3"].probability > 1e-5).all()


def test_class_is_most_similar_to_itself(model, corpus) -> None:
    sounds = class_embeddings(model, corpus, seed=0)
    cosines = sounds.cosines()
    assert sounds.names == corpus.sounding and np.allclose(np.diag(cosines), 1) and cosines.min() < 0.5
    assert sorted(seriation_order(cosines)) == list(range(len(sounds.names)))
    assert 0 < sounds.common_share() < 1


def test_seriation_orders_classes_along_a_line() -> None:
    place = np.random.default_rng(0).permutation(12)
    cosines = np.cos((place[:, None] - place) * np.pi / 24)  # classes along a line, in no order
    order = place[seriation_order(cosines)]
    assert order.tolist() in (list(range(12)), list(range(11, -1, -1)))
    assert seriation_order(np.ones((1, 1))) == [0]


def test_rank_correlation_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=30), rng.integers(0, 5, 30).astype(float)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(rank_correlation(first, np.ones(30)))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.6, 0.9, "holds"),
        (0.1, 0.9, "holds weakly"),
        (-0.1, 0.9, "does not hold"),
        (-0.9, -0.2, "is contradicted"),
    ],
)
def test_verdict_follows_from_the_interval(low: float, high: float, verdict: str) -> None:
    assert ClaimTest("a", "b", "c", Estimate((low + high) / 2, low, high, 9)).verdict == verdict


def test_read_frames_at_returns_the_nearest_frames(video: Path) -> None:
    assert [m.time for m in read_frames_at(video, [3.04, 0.5])] == pytest.approx([0.5, 3.0])
    assert [m.time for m in read_frames_at(video)] == pytest.approx([0.5, 1.5, 2.5, 3.5])
    loud, quiet = read_frames_at(video, [1.0, 3.0])
    assert loud.log_mel.max() > 0 and quiet.log_mel.max() < -4
    with pytest.raises(UsageError, match="no frame at 9 s"):
        read_frames_at(video, [1.0, 9.0])


@pytest.mark.parametrize(
    "changes", [{}, {"audio_adapter": {"hidden": 24, "tokens": 0}}, {"image_adapter": None}]
)
def test_report_of_a_video(video: Path, corpus: Corpus, tmp_path: Path, changes) -> None:
    model = shaken(**changes)
    report = run_interpretability(
        model, read_frames_at(video, [0.5, 1.5]), corpus, scenes=5, seed=0, setting={"seed": "0"}
    )
    report.save(tmp_path / "page")
    drawn = {path.stem for path in (tmp_path / "page/images").iterdir()}
    assert drawn >= {"attention", "injections", "classes", "faithfulness"}
    assert ("adapters" in drawn) == (changes != {"image_adapter": None})
    ablated = {row["ablated"] for row in rows(tmp_path / "page/ablations.csv")}
    assert ablated >= {"nothing", "block 1", "block 3", "all blocks"}
    assert ("prompt" in ablated) == ("audio_adapter" not in changes)
    assert rows(tmp_path / "page/claims.csv")[0]["verdict"] and "Removing sound" in report.text[0]


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_report_of_a_model_with_prompt_only(video: Path, corpus: Corpus, tmp_path: Path) -> None:
    model = shaken(audio_adapter={"hidden": 24, "inject_into": "none"})
    report = run_interpretability(model, read_frames_at(video, [0.5]), corpus, scenes=3, seed=0, setting={})
    assert {c.name for c in report.charts} == {"attention", "adapters", "classes"}
    report.save(tmp_path / "page")


def test_model_that_ignores_sound_is_refused(video: Path, corpus: Corpus) -> None:
    model = shaken(audio_adapter={"hidden": 24, "inject_into": "none", "tokens": 0})
    with pytest.raises(UsageError, match="ignores sound"):
        run_interpretability(model, read_frames_at(video, [0.5]), corpus, scenes=2, seed=0, setting={})
