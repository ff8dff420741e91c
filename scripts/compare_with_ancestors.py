"""Measure how far this package is from published code on the same inputs, and print the table.

    python -m scripts.compare_with_ancestors [PART ...]

What is measured needs no foreign code: the references are independent packages (transformers, torchvggish)
and the tests' own transcriptions of the published formulas. Repository, file and commit say which code each
reference stands for. Exits with 1 if a difference is above its limit. docs/lab-notes/ancestors.md holds the
table.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from save_avs.audio import load_audio, log_mel
from save_avs.datasets import as_published, open_dataset
from save_avs.metrics.mask_metrics import METRIC_NAMES
from save_avs.metrics.protocols import PROTOCOLS
from save_avs.metrics.semantic_scores import SemanticMetric
from tests.metrics.test_protocols import EXPECTED, metric_of, mixed
from tests.support import official_loaders as official
from tests.support.metric_oracle import class_means

AVSBENCH, AVSBENCH_SEMANTIC = "OpenNLPLab/AVSBench@4d4c901", "OpenNLPLab/AVSBench@35d0b42"
GAVS = "GeWu-Lab/Generalizable-Audio-Visual-Segmentation"
UNSTATED = "commit not recorded"


@dataclass(frozen=True)
class Comparison:
    """A part, the published code that it follows, what stands for that code here, and the difference."""

    part: str
    code: str
    reference: str
    ours: str
    measure: Callable[[], float]
    limit: float


def sam_embedding(size: int) -> float:
    """Largest difference of image embeddings, of size about 4, with the same drawn weights."""
    from tests.models.sam.test_sam_parity import gap, tiny
    from tests.support.sam_oracle import make_oracle, with_weights_of

    oracle = make_oracle(tiny(14), size)
    images = torch.randn(1, 3, size, size)
    with torch.no_grad():
        found = with_weights_of(oracle, tiny(14), size).image_encoder(images)
        return gap(found, oracle.get_image_embeddings(images))


def sam_masks() -> float:
    """Largest difference of mask logits with points and boxes."""
    from tests.models.sam.test_sam_parity import both, gap, prompts, tiny
    from tests.support.sam_oracle import make_oracle, with_weights_of

    oracle = make_oracle(tiny(14), 128)
    sam, image = with_weights_of(oracle, tiny(14), 128), torch.randn(2, 64, 8, 8)
    with torch.no_grad():
        expected, found = both(oracle, sam, image, prompts(128, 2), {"points", "boxes"}, True)
    return gap(found[0], expected[0])


def image_adapter() -> float:
    """Largest difference of the adapter's output, in float64."""
    from tests.models.adapters.test_image_adapter import adapter, transcription

    module = adapter(8, ratio=0.25, spatial="full")
    x = torch.randn(1, 5, 7, 8, dtype=torch.float64)
    with torch.no_grad():
        return float(np.abs(module(x)[0].numpy() - transcription(x[0].numpy(), module)).max())


def front_end(channels: int) -> float:
    """Largest difference of log-mel over ten seconds of 16-bit audio."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sound.wav")
        official.stereo(path, 10.0, 3)
        if channels == 1:
            samples, rate = soundfile.read(path, dtype="int16")
            soundfile.write(path, samples[:, 1], rate, subtype="PCM_16")
        found = log_mel(load_audio(path, sample_rate=16_000), 16_000)
        return float(np.abs(found - official.examples(path)[:, 0].numpy()).max())


def vggish() -> float:
    """Largest difference of embeddings, relative to their largest value."""
    from save_avs.models.audio.vggish import VGGish
    from tests.support.audio_reference import draw, torchvggish

    theirs = draw(torchvggish("torchvggish")._vgg(postprocess=False))
    ours = VGGish().eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 1, 96, 64) * 7.6 - 4.6
    with torch.no_grad():
        expected = theirs(x)
        return float((ours(x) - expected).abs().max() / expected.abs().max())


def protocol(*names: str) -> float:
    """Largest difference of mIoU and F over clips, some of them silent."""
    clips = mixed()
    gaps = []
    for name in names:
        found = metric_of(clips, name).compute(PROTOCOLS[name])
        expected = dict(zip(METRIC_NAMES, EXPECTED[name](clips), strict=True))
        gaps += [abs(found[metric] - expected[metric]) for metric in METRIC_NAMES]
    return max(gaps)


def label_maps() -> float:
    """Largest difference of mIoU and F over 71 classes, with five frames of padding."""
    rng = np.random.default_rng(0)
    found, truth = rng.choice([0, 0, 1, 2, 70], (2, 10, 24, 24))
    found[5:], truth[5:] = 0, 0
    metric = SemanticMetric(71)
    metric.update(torch.from_numpy(found), torch.from_numpy(truth), [0] * 10)
    means = class_means(list(found), list(truth), 71)
    scores = metric.compute()
    return max(abs(scores[m] - float(np.mean(v))) for m, v in zip(METRIC_NAMES, means, strict=True))


def reader(name: str) -> float:
    """Largest difference of log-mel over a split of a tree; frames, masks and labels must be equal."""
    writers = {"s4": official.write_s4, "ms3": official.write_ms3, "synthetic": official.write_synthetic}
    readers = {"s4": official.read_s4, "ms3": official.read_ms3, "synthetic": official.read_synthetic}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        writers.get(name, official.write_avss)(root)
        if name in readers:
            clips, expected = open_dataset(name, root, "test"), readers[name](root, "test")
        elif name == "v3-0":
            official.write_v3(root)
            clips = open_dataset(name, root, "train")
            expected = official.read_v3(root, "meta_v3_seen_train")
        else:
            clips = as_published(open_dataset(name, root, "test"))
            expected = official.read_avss(root, "test", ("v1s", "v1m", "v2"))
        gaps = []
        for sample, clip in zip((clips[i] for i in range(len(clips))), expected, strict=True):
            gaps.append(float(np.abs(sample.log_mel - clip.log_mel).max()))
            stored = sample.masks if sample.labels is None else sample.labels
            equal = all(np.array_equal(stored[k], mask) for k, mask in clip.masks.items())
            if not equal or not np.array_equal(sample.frames, clip.frames) or sample.name != clip.name:
                return float("inf")
        return max(gaps)


SAM = "facebookresearch/segment-anything@5717941 `segment_anything/modeling"
COMPARISONS = (
    Comparison(
        "SAM's encoder, 256 px", f"{SAM}/image_encoder.py`", "transformers", "`models/sam/image_encoder.py`",
        lambda: sam_embedding(256), 1e-4,
    ),
    Comparison(
        "SAM's encoder, 512 px", f"{SAM}/image_encoder.py`", "transformers", "`models/sam/image_encoder.py`",
        lambda: sam_embedding(512), 1e-4,
    ),
    Comparison(
        "SAM's prompts and decoder", f"{SAM}/mask_decoder.py`, `prompt_encoder.py`", "transformers",
        "`models/sam/mask_decoder.py`", sam_masks, 1e-4,
    ),
    Comparison(
        "image adapter", f"OpenGVLab/SAM-Med2D `segment_anything/modeling/image_encoder.py`, {UNSTATED}",
        "formula", "`models/adapters/image_adapter.py`", image_adapter, 1e-10,
    ),
    Comparison(
        "log-mel, mono", f"{AVSBENCH} `avs_scripts/avs_s4/torchvggish/vggish_input.py`", "torchvggish",
        "`audio/log_mel.py`", lambda: front_end(1), 1e-4,
    ),
    Comparison(
        "log-mel, stereo", f"{AVSBENCH_SEMANTIC} `avs_scripts/avss/torchvggish/vggish_input.py`",
        "torchvggish", "`audio/log_mel.py`, `channel_mixing.py`", lambda: front_end(2), 1e-4,
    ),
    Comparison(
        "VGGish", f"{AVSBENCH} `avs_scripts/avs_s4/torchvggish/vggish.py`", "torchvggish",
        "`models/audio/vggish.py`", vggish, 1e-5,
    ),
    Comparison(
        "mIoU and F, S4 and MS3", f"{AVSBENCH} `avs_scripts/avs_s4/utils/utility.py`", "formula",
        "`official`, `official-batch4`", lambda: protocol("official", "official-batch4"), 2e-6,
    ),
    Comparison(
        "the same, GAVS", f"{GAVS}@8cea396 `GAVS/segment_anything/utils/v1m/utility.py`", "formula", "`gavs`",
        lambda: protocol("gavs"), 2e-6,
    ),
    Comparison(
        "the same, SAMA-AVS and CAVP", f"their metrics, {UNSTATED}",
        "formula", "`sama`, `cavp`", lambda: protocol("sama", "cavp"), 2e-6,
    ),
    Comparison(
        "mIoU and F of classes, with padding",
        f"{AVSBENCH_SEMANTIC} `avs_scripts/avss/utils/compute_color_metrics.py`; the same in "
        "yannqi/COMBO-AVS@01492c1 `models/evaluation/sem_seg_evaluation_ss.py`",
        "formula", "`metrics/semantic_scores.py`", label_maps, 1e-6,
    ),
    Comparison(
        "S4 reader", f"{AVSBENCH} `avs_scripts/avs_s4/dataloader.py`", "path expressions",
        "`datasets/avsbench_object.py`", lambda: reader("s4"), 1e-4,
    ),
    Comparison(
        "MS3 reader", f"{AVSBENCH} `avs_scripts/avs_ms3/dataloader.py`", "path expressions",
        "`datasets/avsbench_object.py`", lambda: reader("ms3"), 1e-4,
    ),
    Comparison(
        "AVSS reader, `--as-published`",
        f"{AVSBENCH_SEMANTIC} `avs_scripts/avss/color_dataloader.py`; the same in "
        "vvvb-github/AVSegFormer@1666d4d `dataloader/v2_dataset.py`",
        "path expressions", "`datasets/avsbench_semantic.py`", lambda: reader("avss"), 1e-4,
    ),
    Comparison(
        "V3 reader", f"{GAVS}@0013686 `GAVS/segment_anything/dataset/avs_bench_zsfs.py`", "path expressions",
        "`datasets/avsbench_semantic.py`", lambda: reader("v3-0"), 1e-4,
    ),
    Comparison(
        "AVS-Synthetic reader", f"SAMA-AVS's loader, {UNSTATED}", "path expressions",
        "`datasets/avs_synthetic.py`", lambda: reader("synthetic"), 1e-4,
    ),
)  # fmt: skip


def main(words: list[str]) -> int:
    """Print the table of the parts whose names contain one of the words; all by default."""
    torch.manual_seed(0)
    print("| what | their code | reference here | ours | largest difference | verdict |")
    print("|---|---|---|---|---|---|")
    failed = 0
    for one in COMPARISONS:
        if words and not any(word in one.part for word in words):
            continue
        difference = one.measure()
        equal = difference <= one.limit
        failed += not equal
        verdict = "equal" if equal else "differs"
        cells = (one.part, one.code, one.reference, one.ours, f"{difference:.1e}", verdict)
        print(f"| {' | '.join(cells)} |", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
