"""The inside of a SAVE on a clip, and how far the pictures of it are to be believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from save_avs.errors import UsageError
from save_avs.metrics.bootstrap import bootstrap_mean
from save_avs.models.preprocess import preprocess_frames
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from studies.interpretability import charts
from studies.interpretability.faithfulness import AVERAGE, TAKEN_OUT, Faithfulness, measure
from studies.interpretability.moments import Moment
from studies.interpretability.recorder import Recording, record
from studies.interpretability.removal import Sound
from studies.interpretability.sounds import ClassSounds, batch_of, class_sounds
from studies.interpretability.tests import Verdict, verdicts
from studies.report import Chart, Sheet, StudyReport

_NEAREST = 10  # pairs of classes that are listed


def study_inside(
    model: SAVE,
    moments: Sequence[Moment],
    corpus: Corpus,
    *,
    scenes: int,
    seed: int,
    setting: Mapping[str, str],
    progress: Callable[[int], None] = lambda _: None,
) -> StudyReport:
    """Look into a model at moments of a clip, and check what is seen there on composed scenes.

    Args:
        model: in evaluation mode; it computes in the precision of its weights.
        moments: of one clip.
        corpus: whose sounds are compared, and whose scenes the check is made on.
        scenes: how many.
        seed: of sounds, scenes and intervals.
        setting: what one needs to know to do it again.
        progress: called with the number of scenes done.

    Raises:
        UsageError: no sound reaches the model's inside.
    """
    images = torch.cat([preprocess_frames(m.frame[None], model.image_size, model.resize) for m in moments])
    recording = record(model, images, batch_of(np.stack([m.patch for m in moments])))
    if recording.prompt is None and all(vector is None for vector in recording.injections):
        raise UsageError(f"{model.name} does not hear: no sound reaches its blocks or its decoder")
    sounds = class_sounds(model, corpus, seed=seed)
    found = measure(model, corpus, sounds.sounds.mean(), scenes=scenes, seed=seed, progress=progress)
    claims = verdicts(found, seed=seed)
    return StudyReport(
        name="inside",
        title=f"Inside {model.name}",
        question="What do adapters, injections and the prompt do, and do their pictures tell the truth?",
        setting=setting,
        text=_words(found, claims),
        sheets=(_claims(claims), _changes(found, seed), _injections(recording, found), _nearest(sounds)),
        charts=tuple(_charts(model, moments, recording, sounds, found)),
    )


def _charts(
    model: SAVE,
    moments: Sequence[Moment],
    recording: Recording,
    sounds: ClassSounds,
    found: Faithfulness,
) -> list[Chart]:
    drawn = [charts.draw_attention(model, moments, recording)]
    if recording.adapted:
        place = _loudest(moments)
        drawn.append(charts.draw_adapters(model, moments[place], recording, place))
    if found.blocks:
        drawn.append(charts.draw_injections(moments, recording, _own_shares(recording, sounds.sounds.mean())))
    drawn.append(charts.draw_classes(sounds))
    return [*drawn, charts.draw_faithfulness(found)] if found.blocks else drawn


def _loudest(moments: Sequence[Moment]) -> int:
    return int(np.argmax([moment.patch.mean() for moment in moments]))


def _own_shares(recording: Recording, average: Sound) -> list[float]:
    """Of each block's injection, the share of its norm that the average sound has not, over the moments."""
    shares = []
    for vector, mean in zip(recording.injections, average.injections, strict=True):
        if vector is None or mean is None:
            shares.append(0.0)
        else:
            shares.append(float(((vector - mean).norm(dim=-1) / vector.norm(dim=-1)).mean()))
    return shares


def _words(found: Faithfulness, claims: Sequence[Verdict]) -> tuple[str, ...]:
    """What the removals show, and which claims hold."""
    removed = found.changes[TAKEN_OUT]
    blocks = {f"block {i + 1}" for i in found.blocks}
    single = [removed[name].mask.mean() for name in blocks]
    whole = [f"{name} by {c.mask.mean():.3f}" for name, c in removed.items() if name not in blocks]
    share = f"a single block's injection by {min(single):.3f} to {max(single):.3f}; " if single else ""
    by_verdict: dict[str, list[str]] = {}
    for claim in sorted(claims, key=lambda claim: claim.rho.low):
        checked = f"{claim.claim} ({claim.over}; {claim.change}; rho {claim.rho.value:.2f})"
        by_verdict.setdefault(claim.words, []).append(checked)
    return (
        f"Taking sound out changes the mask (1 - IoU, mean over scenes): {share}{', '.join(whole)}.",
        *(f"Claims of which each {words}: {'; '.join(said)}." for words, said in by_verdict.items()),
    )


def _claims(claims: Sequence[Verdict]) -> Sheet:
    return Sheet(
        "claims",
        "Does removing it change what the picture claims? Spearman's rho over scenes",
        ("claim", "checked by", "ranked over", "rho", "the claim"),
        tuple((c.claim, c.change, c.over, c.rho, c.words) for c in claims),
    )


def _changes(found: Faithfulness, seed: int) -> Sheet:
    whole = ("nothing", "", None, None, bootstrap_mean(found.iou, seed=seed))
    rows = [
        (
            name,
            how,
            bootstrap_mean(change.mask, seed=seed),
            bootstrap_mean(change.probability, seed=seed),
            bootstrap_mean(change.iou, seed=seed),
        )
        for how in (TAKEN_OUT, AVERAGE)
        for name, change in found.changes[how].items()
    ]
    columns = (
        "removed",
        "how",
        "change of the mask",
        "change of a probability",
        "mIoU with what sounds",
    )
    title = "What each removal does; change of the mask is 1 - IoU with the whole model's"
    return Sheet("removals", title, columns, (whole, *rows))


def _injections(recording: Recording, found: Faithfulness) -> Sheet:
    rows = tuple(
        (
            f"{block + 1}",
            float(recording.relative_norm(block).mean()),
            float(found.claims.whole[:, k].mean()),
            float(found.claims.own[:, k].mean()),
        )
        for k, block in enumerate(found.blocks)
    )
    columns = ("block", "in the clip", "over the scenes", "of that, beside the average sound")
    return Sheet("injections", "Norm of the injection over the tokens'", columns, rows)


def _nearest(sounds: ClassSounds) -> Sheet:
    cosines = sounds.cosines()
    pairs = sorted(zip(*np.triu_indices(len(cosines), 1), strict=True), key=lambda pair: -cosines[pair])
    rows = tuple((sounds.names[a], sounds.names[b], float(cosines[a, b])) for a, b in pairs[:_NEAREST])
    return Sheet("nearest", "Classes whose injections are most alike", ("class", "class too", "cosine"), rows)
