from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.losses import UNLABELED, bce_loss, class_loss, save_loss, soft_iou_loss


def batch(b: int = 4, m: int = 8, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(b, 1, m, m, generator=generator, requires_grad=True)
    targets = (torch.rand(b, 1, m, m, generator=generator) > 0.6).float()
    return logits, targets, torch.ones(b, dtype=torch.bool)


def test_bce_of_annotated_frames_is_the_plain_mean() -> None:
    logits, targets, every = batch()
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(bce_loss(logits, targets, every), expected)


def test_soft_iou_on_a_hand_made_frame() -> None:
    p = torch.tensor([0.9, 0.8, 0.3, 0.0001]).reshape(1, 1, 2, 2)
    t = torch.tensor([1.0, 0.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    shared = 0.9 + 0.3
    union = (0.9 + 0.8 + 0.3 + 0.0001) + 2 - shared
    loss = soft_iou_loss(p.logit(), t, torch.tensor([True]), smooth=1e-7)
    assert loss.item() == pytest.approx(1 - shared / union, abs=1e-5)


@pytest.mark.parametrize("filled", [0.0, 1.0])
def test_soft_iou_of_a_perfect_mask_is_zero_even_an_empty_one(filled: float) -> None:
    targets = torch.zeros(1, 1, 8, 8)
    targets[..., :4] = filled
    loss = soft_iou_loss((targets - 0.5) * 60, targets, torch.tensor([True]))
    assert loss.item() == pytest.approx(0.0, abs=1e-5)


def test_soft_iou_pulls_an_empty_frame_toward_empty() -> None:
    logits = torch.full((1, 1, 4, 4), -3.0, requires_grad=True)
    loss = soft_iou_loss(logits, torch.zeros(1, 1, 4, 4), torch.tensor([True]))
    total = torch.sigmoid(torch.tensor(-3.0)).item() * 16
    assert loss.item() == pytest.approx(total / (total + 1), abs=1e-5)
    loss.backward()
    assert logits.grad is not None and (logits.grad > 1e-3).all()


def test_save_loss_is_the_sum_of_its_parts() -> None:
    logits, targets, every = batch()
    loss = save_loss(logits, targets, every)
    torch.testing.assert_close(loss.bce, bce_loss(logits, targets, every))
    torch.testing.assert_close(loss.iou, soft_iou_loss(logits, targets, every))
    torch.testing.assert_close(loss.total, loss.bce + loss.iou)


def test_losses_ignore_frames_without_annotation() -> None:
    logits, targets, _ = batch(5)
    has_mask = torch.tensor([True, False, True, False, False])
    loss = save_loss(logits, targets, has_mask).total
    torch.testing.assert_close(loss, save_loss(logits[has_mask], targets[has_mask], has_mask[has_mask]).total)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[~has_mask] == 0).all()
    assert (gradient[has_mask] != 0).any(dim=(1, 2, 3)).all()


def test_losses_without_an_annotated_frame_are_zero_with_a_gradient() -> None:
    logits, targets, every = batch()
    loss = save_loss(logits, targets, ~every).total
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and (logits.grad == 0).all()


def test_losses_of_micro_batches_add_up_to_the_batch() -> None:
    logits, targets, _ = batch(6)
    has_mask = torch.tensor([True, True, True, False, True, False])
    whole = save_loss(logits, targets, has_mask).total
    parts = [
        save_loss(logits[s], targets[s], has_mask[s], normalizer=has_mask.sum()).total
        for s in (slice(0, 2), slice(2, 6))
    ]
    torch.testing.assert_close(sum(parts), whole)


def test_losses_of_half_precision_logits_are_computed_in_float32() -> None:
    logits, targets, every = batch()
    half = logits.detach().bfloat16()
    loss = save_loss(half, targets, every).total
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, save_loss(half.float(), targets, every).total)


def test_losses_refuse_shapes_that_would_broadcast() -> None:
    logits, targets, every = batch()
    with pytest.raises(ValueError, match=r"\[B,1,M,M\]"):
        bce_loss(logits, targets[:, 0], every)
    with pytest.raises(ValueError, match=r"\[B,1,M,M\]"):
        soft_iou_loss(logits, targets[:1], every)
    with pytest.raises(ValueError, match="has_mask"):
        soft_iou_loss(logits, targets, every[:1])
    with pytest.raises(ValueError, match="has_mask"):
        bce_loss(logits, targets, every.float())


def test_class_loss_counts_labeled_pixels_of_annotated_frames():
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 5, 4, 4), torch.randint(0, 5, (3, 4, 4))
    labels[0, :2] = UNLABELED
    labels[1] = UNLABELED
    known = torch.tensor([True, True, False])
    log = logits.log_softmax(1)
    first = torch.stack([-log[0, labels[0, y, x], y, x] for y in (2, 3) for x in range(4)]).mean()
    assert torch.allclose(class_loss(logits, labels, known), first / 2)
    assert torch.allclose(class_loss(logits, labels, known, normalizer=8), first / 8)


def test_class_loss_without_an_annotated_frame_has_a_gradient_of_zero():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = class_loss(logits, torch.zeros(2, 4, 4, dtype=torch.long), torch.zeros(2, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and logits.grad is not None and not logits.grad.any()


def test_class_loss_refuses_other_shapes():
    with pytest.raises(ValueError, match="labels"):
        class_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.long), torch.ones(2) > 0)
