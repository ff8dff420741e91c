"""Results as published in papers; none of them was measured again."""

from __future__ import annotations

from dataclasses import dataclass

TEST_CLIPS = {
    "s4": 740,
    "ms3": 64,
    "avss": 1554,
    "v3-0": 758,
    "v3-1": 532,
    "v3-3": 510,
    "v3-5": 488,
}
"""Clips of the test splits that the published results are of."""

OFFICIAL = "the benchmark's public code; the batch size is not stated"
UNKNOWN = "not known"
SAMA_F = "its code leaves the sigmoid out of F: that F is not comparable; it scores at 1024 px"


@dataclass(frozen=True)
class PublishedResult:
    """A paper's result on a data set.

    Attributes:
        method: name and venue.
        miou: percent, as printed.
        f: percent; None if the paper has none.
        protocol: code that scored it, as far as it is known.
        caveat: for comparisons with our scores.
    """

    method: str
    miou: float
    f: float | None = None
    protocol: str = OFFICIAL
    caveat: str = ""


_AVSBENCH = "AVSBench TPAVI, PVT-v2 (ECCV 2022)"
_GAVS = "GAVS, SAM ViT-B (AAAI 2024)"
_AVSEGFORMER = "AVSegFormer, PVT-v2, 512 px"
_COMBO = "COMBO, PVT-v2 (CVPR 2024)"
_SAMA = "SAMA-AVS, SAM ViT-H 1024 px, with synthetic data (WACV 2024)"
_STONES = "Stepping Stones (ECCV 2024)"
_SAVE = "SAVE {} px (arXiv 2407.02004)"
_SAVE_MORE = "SAVE {} px, with synthetic data (arXiv 2407.02004)"
_TAVIS = "TAViS, 1024 px (ICCV 2025)"
_SAVE_CAVEAT = "mIoU only; which protocol the paper used is not known"


def _save(*results: tuple[str, int, float]) -> tuple[PublishedResult, ...]:
    return tuple(
        PublishedResult(name.format(side), miou, None, UNKNOWN, _SAVE_CAVEAT) for name, side, miou in results
    )


_S4 = (
    PublishedResult(_AVSBENCH, 78.7, 87.9),
    PublishedResult(_GAVS, 80.06, 90.2, "gavs"),
    PublishedResult(_AVSEGFORMER, 83.06, 90.5, UNKNOWN),
    PublishedResult(_COMBO, 84.7, 91.9, UNKNOWN),
    PublishedResult(_SAMA, 83.17, 90.1, "sama", SAMA_F),
    PublishedResult(_STONES, 83.18, 91.3, UNKNOWN),
    *_save((_SAVE, 256, 84.06), (_SAVE, 1024, 85.11), (_SAVE_MORE, 256, 84.59), (_SAVE_MORE, 1024, 86.16)),
    PublishedResult(_TAVIS, 87.0, 92.6, UNKNOWN),
)
_MS3 = (
    PublishedResult(_AVSBENCH, 54.0, 64.5),
    PublishedResult(_GAVS, 63.70, 77.4, "gavs"),
    PublishedResult(_AVSEGFORMER, 61.33, 73.0, UNKNOWN),
    PublishedResult(_COMBO, 59.2, 71.2, UNKNOWN),
    PublishedResult(_SAMA, 66.95, 75.4, "sama", SAMA_F),
    PublishedResult(_STONES, 67.30, 77.6, UNKNOWN),
    *_save((_SAVE, 256, 64.16), (_SAVE, 1024, 67.01), (_SAVE_MORE, 256, 70.28), (_SAVE_MORE, 1024, 70.83)),
    PublishedResult(_TAVIS, 71.2, 79.6, UNKNOWN),
)
_AVSS = (
    PublishedResult(_AVSBENCH, 29.8, 35.2),
    PublishedResult(_AVSEGFORMER, 37.31, 42.8, UNKNOWN),
    PublishedResult(_COMBO, 42.1, 46.1, UNKNOWN),
    PublishedResult(_STONES, 48.5, 53.2, UNKNOWN),
    PublishedResult("TAViS, 224 px (ICCV 2025)", 44.2, None, UNKNOWN),
)


def _v3(avsbench: float, avsegformer: float, gavs: float) -> tuple[PublishedResult, ...]:
    note = "as GAVS reports it"
    return (
        PublishedResult("AVSBench", avsbench, None, "gavs", note),
        PublishedResult("AVSegFormer", avsegformer, None, "gavs", note),
        PublishedResult(_GAVS, gavs, None, "gavs"),
    )


_MASKS = {
    "s4": _S4,
    "ms3": _MS3,
    "v3-0": _v3(53.00, 54.26, 54.71),
    "v3-1": _v3(56.11, 58.30, 62.89),
    "v3-3": _v3(63.22, 64.19, 66.28),
    "v3-5": _v3(63.87, 65.17, 67.75),
}


def published_mask_results(data: str, split: str) -> tuple[PublishedResult, ...]:
    """Return the published results for the masks of a data set's test split."""
    return _MASKS.get(data, ()) if split == "test" else ()


def published_label_results(data: str, split: str) -> tuple[PublishedResult, ...]:
    """Return the published results for the label maps of AVSBench-semantic, all subsets together."""
    return _AVSS if (data, split) == ("avss", "test") else ()
