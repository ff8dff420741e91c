"""The page of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from save_avs.models.preprocess import get_preprocess_shape, postprocess_logits
from save_avs.models.save import SAVE
from save_avs.types import F32, Bool
from save_avs.visualization.overlay import draw_mask
from save_avs.visualization.plots import PALETTE, TEXT_COLOR, style_axes
from studies.interpretability.faithfulness import AVERAGE, TAKEN_OUT, Faithfulness, rank_correlation
from studies.interpretability.moments import Moment
from studies.interpretability.projection import as_colors
from studies.interpretability.recorder import Recording, prompt_attention
from studies.interpretability.sounds import ClassSounds, neighbors_first
from studies.report import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_ACROSS = 8  # blocks beside one another
_LEAST = 1e-3  # change of a mask that is drawn at the foot of a logarithmic axis


def draw_attention(model: SAVE, moments: Sequence[Moment], recording: Recording) -> Chart:
    """A row a moment: the frame, its mask, and where the prompt looks, layer by layer."""
    layers = list(recording.attention) if recording.prompt is not None else []
    across = 2 + len(layers)
    tall = max(moment.frame.shape[0] / moment.frame.shape[1] for moment in moments)
    figure = _figure(2.3 * across, (2.3 * tall + 0.22) * len(moments))
    for y, moment in enumerate(moments):
        height, width = moment.frame.shape[:2]
        logits = postprocess_logits(recording.logits[y, 0], height, width, model.resize)
        mask: Bool = (logits > 0).cpu().numpy()
        pictures: list[tuple[str, Any]] = [
            (f"{moment.time:.2f} s", moment.frame),
            ("marked", draw_mask(moment.frame, mask)),
        ]
        for layer in layers:
            attention = postprocess_logits(
                prompt_attention(model, recording, layer)[y], height, width, model.resize
            )
            pictures.append((f"prompt looks, {layer}", _glowing(moment.frame, attention.cpu().numpy())))
        for x, (title, picture) in enumerate(pictures):
            axes = figure.add_subplot(len(moments), across, y * across + x + 1)
            _show(axes, picture, title if y == 0 or x == 0 else "")
    caption = (
        "Where the decoder's prompt token looks, heads averaged, each map on its own scale and brightened: "
        "bright is most. Whether that tells where the mask comes from, see the table of claims."
    )
    return Chart("attention", caption, figure)


def draw_adapters(model: SAVE, moment: Moment, recording: Recording, place: int) -> Chart:
    """A column a block: tokens before and after its image adapter in one basis of colors, and the step."""
    blocks = sorted(recording.adapted)
    grids = [
        [
            _seen(model, moment, tokens[place])
            for tokens in (recording.before_adapter(i), recording.leaving[i])
        ]
        for i in blocks
    ]
    bands = -(-len(blocks) // _ACROSS)
    across = min(_ACROSS, len(blocks))
    figure = _figure(1.35 * across, 4.1 * bands)
    for k, (block, (before, after)) in enumerate(zip(blocks, grids, strict=True)):
        first, second = as_colors([before, after])
        step = np.linalg.norm(after - before, axis=-1) / np.linalg.norm(before, axis=-1).clip(min=1e-9)
        band, column = divmod(k, _ACROSS)
        rows = (("before", first), ("after", second), ("step", step))
        for y, (title, picture) in enumerate(rows):
            axes = figure.add_subplot(3 * bands, across, (3 * band + y) * across + column + 1)
            heading = f"block {block + 1}" if y == 0 else ""
            if y == 2:
                heading = f"{step.mean():.0%}"
            axes.imshow(picture, interpolation="nearest", cmap="magma")
            axes.set_title(heading, fontsize=8, color=TEXT_COLOR, pad=3)
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                axes.set_ylabel(title, fontsize=8, color=TEXT_COLOR)
    caption = (
        f"At {moment.time:.2f} s, the tokens of each block before and after its image adapter, their three "
        "main directions as red, green and blue: one basis for both pictures of a block, another for each "
        "block. Below, where the adapter's step is large beside what it is added to, each map on its own "
        "scale; the number is the mean of that ratio."
    )
    return Chart("adapters", caption, figure)


def draw_injections(moments: Sequence[Moment], recording: Recording, own_shares: Sequence[float]) -> Chart:
    """A bar a block: the injected vector beside the tokens, and what of it the average sound has not."""
    blocks = range(len(recording.injections))
    whole = torch.stack([recording.relative_norm(i) for i in blocks], dim=1).cpu().numpy()  # [moments,blocks]
    figure = _figure(7.2, 2.9)
    axes = figure.add_subplot()
    style_axes(axes, "What sound adds to every token, over the tokens' own norm")
    places = np.arange(whole.shape[1])
    axes.bar(places - 0.2, whole.mean(axis=0), 0.4, color=PALETTE[0], label="all of it")
    axes.bar(
        places + 0.2, whole.mean(axis=0) * own_shares, 0.4, color=PALETTE[1], label="beside the average sound"
    )
    for row in whole:
        axes.scatter(places - 0.2, row, s=7, color=TEXT_COLOR, zorder=3)
    axes.set_xticks(places, labels=[f"{i + 1}" for i in blocks])
    axes.set_xlabel("block", fontsize=8, color=TEXT_COLOR)
    axes.grid(False, axis="x")
    axes.set_ylim(0, 1.25 * float(whole.max()))
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper right")
    caption = (
        "Norm of the vector that sound adds to every token before a block, over the mean norm of the tokens; "
        "a dot a moment. Orange: the part in which the clip's sounds differ from the average sound."
    )
    return Chart("injections", caption, figure)


def draw_classes(sounds: ClassSounds) -> Chart:
    """The cosine between what each two classes add, alike ones together."""
    cosines = sounds.cosines()
    order = neighbors_first(cosines)
    size = max(4.2, 0.145 * len(order) + 1.4)
    figure = _figure(size + 1.0, size - 0.4)
    axes = figure.add_subplot()
    shown = axes.imshow(cosines[np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1)
    names = [sounds.names[i] for i in order]
    axes.set_xticks(range(len(names)), labels=names, fontsize=6, rotation=90)
    axes.set_yticks(range(len(names)), labels=names, fontsize=6)
    axes.set_title("How alike are the injections of two classes?", loc="left", fontsize=10, color=TEXT_COLOR)
    figure.colorbar(shown, ax=axes, shrink=0.6, label="cosine")
    caption = (
        "Injections of all blocks side by side, averaged over sounds of a class, less their mean over "
        f"classes: that common part alone has {sounds.common_share():.0%} of an injection's norm."
    )
    return Chart("classes", caption, figure)


def draw_faithfulness(found: Faithfulness) -> Chart:
    """Claim against change, a dot a scene and block; and what each removal does."""
    figure = _figure(11.2, 3.6)
    for x, (how, claimed, label) in enumerate(
        (
            (TAKEN_OUT, found.claims.whole, "injection over the tokens"),
            (AVERAGE, found.claims.own, "beside the average sound, over the tokens"),
        )
    ):
        axes = figure.add_subplot(1, 3, x + 1)
        changed = found.mask_changes(how).clip(min=_LEAST)
        rhos = [rank_correlation(a, b) for a, b in zip(claimed, changed, strict=True)]
        style_axes(axes, f"{how}, rho {np.nanmean(rhos):.2f}")
        axes.set_yscale("log")
        for k, block in enumerate(found.blocks):
            color = _color_of(k, len(found.blocks))
            axes.scatter(claimed[:, k], changed[:, k], s=7, color=color, alpha=0.4, linewidths=0)
            middle = np.median(claimed[:, k]), np.median(changed[:, k])
            axes.scatter(*middle, s=42, color=color, edgecolors="white", zorder=3)
            axes.annotate(
                f"{block + 1}",
                middle,
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=8,
                color=TEXT_COLOR,
            )
        axes.set_xlabel(f"claimed: {label}", fontsize=8, color=TEXT_COLOR)
        axes.set_ylabel("measured: change of the mask, 1 - IoU", fontsize=8, color=TEXT_COLOR)
    _bars(figure.add_subplot(1, 3, 3), found)
    caption = (
        "Left, middle: what the picture claims of a block (numbered; small dots are scenes, large ones their "
        "medians) beside what happens to the mask without it. Right: what each removal changes, averaged "
        "over scenes."
    )
    return Chart("faithfulness", caption, figure)


def _bars(axes: Axes, found: Faithfulness) -> None:
    style_axes(axes, "Change of the mask, 1 - IoU")
    names = list(found.changes[TAKEN_OUT])
    for k, how in enumerate((TAKEN_OUT, AVERAGE)):
        means = [found.changes[how][name].mask.mean() for name in names]
        axes.barh(np.arange(len(names)) + 0.4 * k - 0.2, means, 0.4, color=PALETTE[k], label=how)
    axes.set_yticks(range(len(names)), labels=names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(False, axis="y")
    axes.legend(fontsize=8, frameon=False, loc="best")


def _color_of(k: int, count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](0.9 * k / max(1, count - 1))


def _glowing(frame: Any, attention: F32) -> Any:
    """A frame in gray, lit where attention is high."""
    from matplotlib import colormaps

    gray = frame.mean(axis=2, keepdims=True) / 255
    low, high = np.percentile(attention, [2, 99.5])
    lit = ((attention - low) / max(high - low, 1e-12)).clip(0, 1)[..., None] ** 0.5
    heat = colormaps["inferno"](0.15 + 0.8 * lit[..., 0])[..., :3]
    return (0.55 * gray * (1 - lit) + heat * lit + 0.15 * gray * lit).clip(0, 1)


def _seen(model: SAVE, moment: Moment, tokens: torch.Tensor) -> F32:
    """The cells [h,w,C] that show the frame, less what a padded square holds beside it."""
    height, width = moment.frame.shape[:2]
    rows, columns = get_preprocess_shape(height, width, tokens.shape[0], model.resize)
    return tokens[:rows, :columns].float().cpu().numpy()


def _show(axes: Axes, picture: Any, title: str) -> None:
    axes.imshow(picture)
    axes.set_title(title, fontsize=8, color=TEXT_COLOR, loc="left", pad=3)
    axes.set_axis_off()


def _figure(width: float, height: float) -> Drawing:
    from matplotlib.figure import Figure as Drawing

    return Drawing(figsize=(width, height), layout="constrained")
