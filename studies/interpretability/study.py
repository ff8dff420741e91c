"""The study: a model's inside at some frames of a video, tested by ablations on composed scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from save_avs.errors import UsageError
from save_avs.metrics.bootstrap_and_permutation import bootstrap_mean
from save_avs.models.preprocess import preprocess_frames
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from studies.interpretability import charts
from studies.interpretability.ablation import AudioEmbeddings
from studies.interpretability.claims import ClaimTest, check_claims
from studies.interpretability.faithfulness import AVERAGED, REMOVED, Faithfulness, measure_faithfulness
from studies.interpretability.frames import TimedFrame
from studies.interpretability.recorder import Recording, record
from studies.interpretability.sounds import ClassEmbeddings, as_batch, class_embeddings
from studies.report import Chart, StudyReport, Table

_SIMILAR_PAIRS = 10


def run_interpretability(
    model: SAVE,
    frames: Sequence[TimedFrame],
    corpus: Corpus,
    *,
    scenes: int,
    seed: int,
    setting: Mapping[str, str],
    progress: Callable[[int], None] = lambda _: None,
) -> StudyReport:
    """Record a model at some frames, and test on composed scenes what the images claim.

    Args:
        model: in evaluation mode; it runs in the precision of its weights.
        frames: of one video.
        corpus: whose sounds are compared, and whose scenes the tests use.
        scenes: number of scenes.
        seed: of sounds, scenes and intervals.
        setting: what is needed to reproduce the study.
        progress: called with the number of scenes done.

    Raises:
        UsageError: the model ignores sound.
    """
    images = torch.cat([preprocess_frames(f.image[None], model.image_size, model.resize) for f in frames])
    recording = record(model, images, as_batch(np.stack([f.log_mel for f in frames])))
    if recording.prompt is None and all(vector is None for vector in recording.injections):
        raise UsageError(f"{model.name} ignores sound: neither its blocks nor its decoder receive any.")
    classes = class_embeddings(model, corpus, seed=seed)
    average = classes.audio.mean()
    found = measure_faithfulness(model, corpus, average, scenes=scenes, seed=seed, progress=progress)
    tests = check_claims(found, seed=seed)
    return StudyReport(
        name="interpretability",
        title=f"Inside {model.name}",
        question="What do adapters, injections and the prompt do, and do ablations confirm it?",
        setting=setting,
        text=_text(found, tests),
        tables=(
            _claim_table(tests),
            _ablation_table(found, seed),
            _injection_table(recording, found),
            _similarity_table(classes),
        ),
        charts=tuple(_charts(model, frames, recording, classes, found)),
    )


def _charts(
    model: SAVE,
    frames: Sequence[TimedFrame],
    recording: Recording,
    classes: ClassEmbeddings,
    found: Faithfulness,
) -> list[Chart]:
    made = [charts.draw_attention(model, frames, recording)]
    if recording.adapter_outputs:
        loudest = int(np.argmax([frame.log_mel.mean() for frame in frames]))
        made.append(charts.draw_adapters(model, frames[loudest], recording, loudest))
    if found.blocks:
        made.append(charts.draw_injections(recording, _own_shares(recording, classes.audio.mean())))
    made.append(charts.draw_classes(classes))
    return [*made, charts.draw_faithfulness(found)] if found.blocks else made


def _own_shares(recording: Recording, average: AudioEmbeddings) -> list[float]:
    """Relative norm of the difference of each block's injection from the average one, over the frames."""
    shares = []
    for vector, mean in zip(recording.injections, average.injections, strict=True):
        if vector is None or mean is None:
            shares.append(0.0)
        else:
            shares.append(float(((vector - mean).norm(dim=-1) / vector.norm(dim=-1)).mean()))
    return shares


def _text(found: Faithfulness, tests: Sequence[ClaimTest]) -> tuple[str, ...]:
    """The effect of the ablations, and which claims hold."""
    removed = found.changes[REMOVED]
    blocks = {f"block {i + 1}" for i in found.blocks}
    single = [removed[name].mask.mean() for name in blocks]
    others = [f"{name} by {c.mask.mean():.3f}" for name, c in removed.items() if name not in blocks]
    share = f"a single block's injection by {min(single):.3f} to {max(single):.3f}; " if single else ""
    by_verdict: dict[str, list[str]] = {}
    for test in sorted(tests, key=lambda test: test.rho.low):
        line = f"{test.claim} ({test.ranked}; {test.ablation}; rho {test.rho.value:.2f})"
        by_verdict.setdefault(test.verdict, []).append(line)
    return (
        f"Removing sound changes the mask (1 - IoU, mean over scenes): {share}{', '.join(others)}.",
        *(f"A claim that {verdict}: {'; '.join(lines)}." for verdict, lines in by_verdict.items()),
    )


def _claim_table(tests: Sequence[ClaimTest]) -> Table:
    return Table(
        "claims",
        "Claims of the images, tested by ablations: Spearman's rho over scenes",
        ("claim", "tested by", "ranked over", "rho", "verdict"),
        tuple((t.claim, t.ablation, t.ranked, t.rho, t.verdict) for t in tests),
    )


def _ablation_table(found: Faithfulness, seed: int) -> Table:
    rows = [
        (name, kind, *(bootstrap_mean(values, seed=seed) for values in change))
        for kind in (REMOVED, AVERAGED)
        for name, change in found.changes[kind].items()
    ]
    title = "Effect of each ablation; change of the mask is 1 - IoU with the full model's"
    columns = ("ablated", "method", "change of the mask", "change of a probability", "mIoU")
    full = ("nothing", "", None, None, bootstrap_mean(found.iou, seed=seed))
    return Table("ablations", title, columns, (full, *rows))


def _injection_table(recording: Recording, found: Faithfulness) -> Table:
    rows = tuple(
        (
            f"{block + 1}",
            float(recording.relative_norm(block).mean()),
            float(found.norms[:, k].mean()),
            float(found.own_norms[:, k].mean()),
        )
        for k, block in enumerate(found.blocks)
    )
    columns = ("block", "in the video", "in the scenes", "in the scenes, minus the average sound's")
    return Table("injections", "Norm of the injection, relative to the tokens", columns, rows)


def _similarity_table(classes: ClassEmbeddings) -> Table:
    cosines = classes.cosines()
    pairs = sorted(zip(*np.triu_indices(len(cosines), 1), strict=True), key=lambda pair: -cosines[pair])
    rows = tuple(
        (classes.names[a], classes.names[b], float(cosines[a, b])) for a, b in pairs[:_SIMILAR_PAIRS]
    )
    return Table(
        "similar_classes",
        "Classes with the most similar injections",
        ("class", "other class", "cosine"),
        rows,
    )
