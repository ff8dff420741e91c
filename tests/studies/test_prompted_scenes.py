"""SAM asked by its own prompts: for what sounds, on the same scenes, and only by what the prompt tells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.evaluation.scenes import evaluate_scenes
from save_avs.models import SAVE
from save_avs.synthesis.corpus import Corpus
from studies import prompted_scenes as prompted
from studies.prompted_scenes import PROMPT_KINDS, evaluate_prompted
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import shake, tiny_model

SCENES = 16


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(make_corpus(tmp_path_factory.mktemp("corpus")), "test")


@pytest.fixture(scope="module")
def model() -> SAVE:
    model = tiny_model(image_adapter=None)
    shake(model)
    return model


def test_the_scenes_are_those_of_the_evaluation(corpus, model):
    listened = evaluate_scenes(model, corpus, scenes=SCENES, seed=3)
    asked = evaluate_prompted(model, corpus, "box", scenes=SCENES, seed=3)
    own = [t for t in listened.trials if t.kind in {"one source", "two sources"}]
    assert len(own) == SCENES
    assert [(t.scene, t.kind, t.target_area) for t in own] == [
        (t.scene, t.kind, t.target_area) for t in asked.trials
    ]
    assert set(asked.metrics) <= {"one source", "two sources", "all", "unseen appearance"}


def test_prompts_name_what_sounds(monkeypatch, corpus, model):
    """Filling the box that is asked for, or marking the pixel, tells where each prompt points."""

    def fill(model, frame, prompts):
        prob = np.zeros(frame.shape[:2], np.float32)
        for prompt in prompts.astype(int):
            x0, y0, x1, y1 = prompt if len(prompt) == 4 else (*prompt, *prompt)
            prob[y0 : y1 + 1, x0 : x1 + 1] = 1
        return torch.from_numpy(prob)

    monkeypatch.setattr(prompted, "_predict", fill)
    found = {p: evaluate_prompted(model, corpus, p, scenes=SCENES, seed=3) for p in PROMPT_KINDS}
    assert found["box"].metrics["all"].value > 0.6
    assert found["box"].metrics["all"].value > 2 * found["image"].metrics["all"].value
    for trial in found["image"].trials:
        assert trial.value == pytest.approx(trial.target_area)
    for trial in found["point"].trials:  # each point is in a sounding object: one pixel, or two
        assert round(trial.value * trial.target_area * 64 * 64) in {1, 2}


@pytest.mark.parametrize("prompt", PROMPT_KINDS)
def test_a_real_sam_answers_as_by_its_own_forward(corpus, model, prompt):
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[10:30, 20:50] = True
    asked = prompted._make_prompt(prompt, mask, np.random.default_rng(1))
    image = torch.from_numpy(frame).permute(2, 0, 1)[None]
    given = torch.from_numpy(asked)[None]
    points = {"points": (given[:, None], torch.ones(1, 1))} if len(asked) == 2 else {"boxes": given}
    with torch.no_grad():
        logits, _ = model.sam(model.sam.preprocess(image), **points)
        expected = torch.nn.functional.interpolate(logits, (64, 64), mode="bilinear").sigmoid()[0, 0]
    assert torch.allclose(prompted._predict(model, frame, asked[None]), expected, atol=1e-6)
    assert expected.std() > 0


def test_answers_to_two_prompts_are_joined(model):
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    boxes = np.array([[4, 4, 20, 20], [30, 30, 60, 60]], np.float32)
    alone = torch.stack([prompted._predict(model, frame, box[None]) for box in boxes])
    assert torch.allclose(prompted._predict(model, frame, boxes), alone.amax(0), atol=1e-6)
