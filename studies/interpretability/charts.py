"""Charts of the interpretability report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from save_avs.models.preprocess import get_preprocess_shape, postprocess_logits
from save_avs.models.save import SAVE
from save_avs.types import F32, U8
from save_avs.visualization.overlay import draw_mask
from save_avs.visualization.plots import PALETTE, TEXT_COLOR, style_axes
from studies.charts import label_x, new_figure
from studies.interpretability.faithfulness import AVERAGED, REMOVED, Faithfulness, rank_correlation
from studies.interpretability.frames import TimedFrame
from studies.interpretability.recorder import Recording, prompt_attention
from studies.interpretability.sounds import ClassEmbeddings, seriation_order
from studies.report import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 8  # blocks per row
_MIN_CHANGE = 1e-3  # lower end of the logarithmic axis
_CLIPPED = 2.0  # percent of the tokens at either end of a color's range


def draw_attention(model: SAVE, frames: Sequence[TimedFrame], recording: Recording) -> Chart:
    """Draw a row per frame: the frame, its mask, and the prompt's attention in each layer."""
    layers = list(recording.attention) if recording.prompt is not None else []
    columns = 2 + len(layers)
    aspect = max(frame.image.shape[0] / frame.image.shape[1] for frame in frames)
    figure = new_figure(2.3 * columns, (2.3 * aspect + 0.22) * len(frames))
    for y, frame in enumerate(frames):
        height, width = frame.image.shape[:2]
        logits = postprocess_logits(recording.logits[y, 0], height, width, model.resize)
        images: list[tuple[str, Any]] = [
            (f"{frame.time:.2f} s", frame.image),
            ("mask", draw_mask(frame.image, (logits > 0).cpu().numpy())),
        ]
        for layer in layers:
            attention = prompt_attention(model, recording, layer)[y]
            attention = postprocess_logits(attention, height, width, model.resize)
            images.append((f"attention, {layer}", _heat_overlay(frame.image, attention.cpu().numpy())))
        for x, (title, image) in enumerate(images):
            axes = figure.add_subplot(len(frames), columns, y * columns + x + 1)
            axes.imshow(image)
            heading = title if y == 0 or x == 0 else ""
            axes.set_title(heading, fontsize=8, color=TEXT_COLOR, loc="left", pad=3)
            axes.set_axis_off()
    caption = (
        "Attention of the decoder's prompt tokens to the image, averaged over heads, each map on its own "
        "scale and brightened. Whether it shows where the mask comes from is tested in the table of claims."
    )
    return Chart("attention", caption, figure)


def draw_adapters(model: SAVE, frame: TimedFrame, recording: Recording, row: int) -> Chart:
    """Draw a column per block: tokens before and after its image adapter, as colors, and the change."""
    blocks = sorted(recording.adapter_outputs)
    columns, bands = min(_COLUMNS, len(blocks)), -(-len(blocks) // _COLUMNS)
    figure = new_figure(1.35 * columns, 4.1 * bands)
    for k, block in enumerate(blocks):
        before, after = (
            _frame_tokens(model, frame, tokens[row])
            for tokens in (recording.before_adapter(block), recording.block_outputs[block])
        )
        first, second = tokens_to_colors([before, after])
        change = np.linalg.norm(after - before, axis=-1) / np.linalg.norm(before, axis=-1).clip(min=1e-9)
        band, column = divmod(k, _COLUMNS)
        panels = (
            ("before", first, f"block {block + 1}"),
            ("after", second, ""),
            ("change", change, f"{change.mean():.0%}"),
        )
        for y, (label, image, heading) in enumerate(panels):
            axes = figure.add_subplot(3 * bands, columns, (3 * band + y) * columns + column + 1)
            axes.imshow(image, interpolation="nearest", cmap="magma")
            axes.set_title(heading, fontsize=8, color=TEXT_COLOR, pad=3)
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                axes.set_ylabel(label, fontsize=8, color=TEXT_COLOR)
    caption = (
        f"At {frame.time:.2f} s, the tokens of each block before and after its image adapter, their first "
        "three principal components as red, green and blue; both images of a block share a basis. Below, "
        "the norm of the adapter's output over that of its input, each map on its own scale, with its mean."
    )
    return Chart("adapters", caption, figure)


def draw_injections(recording: Recording, own_shares: Sequence[float]) -> Chart:
    """Draw a bar per block: norm of the injection, and of its difference from the average sound's."""
    blocks = range(len(recording.injections))
    norms = torch.stack([recording.relative_norm(i) for i in blocks], dim=1).cpu().numpy()  # [frames,blocks]
    figure = new_figure(7.2, 2.9)
    axes = figure.add_subplot()
    style_axes(axes, "Norm of the injection, relative to the tokens")
    places, means = np.arange(norms.shape[1]), norms.mean(axis=0)
    axes.bar(places - 0.2, means, 0.4, color=PALETTE[0], label="injection")
    axes.bar(places + 0.2, means * own_shares, 0.4, color=PALETTE[1], label="minus the average sound's")
    for row in norms:
        axes.scatter(places - 0.2, row, s=7, color=TEXT_COLOR, zorder=3)
    axes.set_xticks(places, labels=[f"{i + 1}" for i in blocks])
    label_x(axes, "block")
    axes.grid(False, axis="x")
    axes.set_ylim(0, 1.25 * float(norms.max()))
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper right")
    caption = (
        "Norm of the vector that the sound adds to every token before a block, over the mean norm of the "
        "tokens; a dot is a frame. Orange: its difference from the average sound's."
    )
    return Chart("injections", caption, figure)


def draw_classes(classes: ClassEmbeddings) -> Chart:
    """Draw the cosine similarity of the injections of each pair of classes, similar ones together."""
    cosines = classes.cosines()
    order = seriation_order(cosines)
    size = max(4.2, 0.145 * len(order) + 1.4)
    figure = new_figure(size + 1.0, size - 0.4)
    axes = figure.add_subplot()
    image = axes.imshow(cosines[np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1)
    names = [classes.names[i] for i in order]
    axes.set_xticks(range(len(names)), labels=names, fontsize=6, rotation=90)
    axes.set_yticks(range(len(names)), labels=names, fontsize=6)
    axes.set_title("Similarity of injections", loc="left", fontsize=10, color=TEXT_COLOR)
    figure.colorbar(image, ax=axes, shrink=0.6, label="cosine")
    caption = (
        "Injections of all blocks, concatenated and averaged over the sounds of a class, minus their mean "
        f"over classes, whose norm is {classes.common_share():.0%} of an injection's."
    )
    return Chart("classes", caption, figure)


def draw_faithfulness(found: Faithfulness) -> Chart:
    """Plot claim against change, a dot per scene and block, and the effect of each ablation."""
    figure = new_figure(11.2, 3.6)
    panels = ((REMOVED, found.norms, "injection"), (AVERAGED, found.own_norms, "injection minus the average"))
    for x, (kind, norms, label) in enumerate(panels):
        axes = figure.add_subplot(1, 3, x + 1)
        changes = found.mask_changes(kind).clip(min=_MIN_CHANGE)
        rhos = [rank_correlation(a, b) for a, b in zip(norms, changes, strict=True)]
        style_axes(axes, f"{kind}, rho {np.nanmean(rhos):.2f}")
        axes.set_yscale("log")
        for k, block in enumerate(found.blocks):
            color = _block_color(k, len(found.blocks))
            axes.scatter(norms[:, k], changes[:, k], s=7, color=color, alpha=0.4, linewidths=0)
            median = np.median(norms[:, k]), np.median(changes[:, k])
            axes.scatter(*median, s=42, color=color, edgecolors="white", zorder=3)
            offset = {"xytext": (4, 4), "textcoords": "offset points"}
            axes.annotate(f"{block + 1}", median, **offset, fontsize=8, color=TEXT_COLOR)
        label_x(axes, f"claim: norm of the {label}, relative to the tokens")
        axes.set_ylabel("measured: change of the mask, 1 - IoU", fontsize=8, color=TEXT_COLOR)
    _draw_ablations(figure.add_subplot(1, 3, 3), found)
    caption = (
        "Left, middle: the claim about each block (numbered; small dots are scenes, large ones their "
        "medians) and the change of the mask without it. Right: the effect of each ablation, averaged over "
        "scenes."
    )
    return Chart("faithfulness", caption, figure)


def _draw_ablations(axes: Axes, found: Faithfulness) -> None:
    style_axes(axes, "Change of the mask, 1 - IoU")
    names = list(found.changes[REMOVED])
    for k, kind in enumerate((REMOVED, AVERAGED)):
        means = [found.changes[kind][name].mask.mean() for name in names]
        axes.barh(np.arange(len(names)) + 0.4 * k - 0.2, means, 0.4, color=PALETTE[k], label=kind)
    axes.set_yticks(range(len(names)), labels=names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(False, axis="y")
    axes.legend(fontsize=8, frameon=False, loc="best")


def _block_color(k: int, count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](0.9 * k / max(1, count - 1))


def _heat_overlay(frame: U8, attention: F32) -> Any:
    """Draw the frame in gray, colored where attention is high."""
    from matplotlib import colormaps

    gray = frame.mean(axis=2, keepdims=True) / 255
    low, high = np.percentile(attention, [2, 99.5])
    heat = ((attention - low) / max(high - low, 1e-12)).clip(0, 1)[..., None] ** 0.5
    color = colormaps["inferno"](0.15 + 0.8 * heat[..., 0])[..., :3]
    return (0.55 * gray * (1 - heat) + color * heat + 0.15 * gray * heat).clip(0, 1)


def _frame_tokens(model: SAVE, frame: TimedFrame, tokens: torch.Tensor) -> F32:
    """Return the tokens [h,w,C] that cover the frame, without those of padding."""
    height, width = frame.image.shape[:2]
    rows, columns = get_preprocess_shape(height, width, tokens.shape[0], model.resize)
    return tokens[:rows, :columns].float().cpu().numpy()


def tokens_to_colors(grids: Sequence[F32]) -> list[U8]:
    """Map grids of tokens [h,w,C] to images u8 [h,w,3] in one basis, so that equal colors mean equal tokens.

    The basis has the first three principal components of all tokens; a component's sign makes its largest
    weight positive, and its range leaves few tokens outside.
    """
    tokens = np.concatenate([grid.reshape(-1, grid.shape[-1]) for grid in grids]).astype(np.float64)
    mean = tokens.mean(axis=0)
    _, _, rows = np.linalg.svd(tokens - mean, full_matrices=False)
    largest = np.abs(rows[:3]).argmax(axis=1)
    basis = (rows[:3] * np.sign(rows[np.arange(3), largest])[:, None]).T  # [C,3]
    low, high = np.percentile((tokens - mean) @ basis, [_CLIPPED, 100 - _CLIPPED], axis=0)
    span = np.where(high > low, high - low, 1.0)
    colors = [((grid - mean) @ basis - low) / span for grid in grids]
    return [np.round(255 * color.clip(0, 1)).astype(np.uint8) for color in colors]
