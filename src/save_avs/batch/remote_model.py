"""Where the model lies: in the worker itself, or elsewhere, so that workers decode and write, and ask it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from save_avs.batch.messages import Facts, Kit, Question
from save_avs.inference import FrameModel
from save_avs.inference.predictor import predict_logits
from save_avs.models import load_model
from save_avs.models.save import Precision, Resize
from save_avs.types import F32


def own_model(kit: Kit) -> FrameModel:
    """Load the model into this process, to compute with one thread.

    As many threads wherever it lies and however many there are of it: how sums are split decides their last
    bits.

    Raises:
        UsageError, SaveAvsError: it cannot be loaded.
    """
    torch.set_num_threads(1)
    return load_model(kit.model, device=kit.device, precision=kit.precision, runtime=kit.runtime)


class Lender:
    """Holds a model and answers questions."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    @cached_property
    def _model(self) -> FrameModel:
        return own_model(self._kit)

    def facts(self) -> Facts:
        """What who asks must know.

        Raises:
            UsageError, SaveAvsError: the model cannot be loaded.
        """
        model = self._model
        return Facts(
            name=model.name,
            image_size=model.image_size,
            resize=model.resize,
            frontend=model.frontend,
            precision=model.precision,
            runtime=model.runtime,
        )

    @torch.inference_mode()
    def answer(self, question: Question) -> F32:
        """The logits, f32 [B,1,M,M]."""
        # Copied: arrays that come through Ray cannot be written to, of which torch warns.
        images, log_mel = torch.tensor(question.images), torch.tensor(question.log_mel)
        return predict_logits(self._model, images, log_mel).float().cpu().numpy()


class LentModel:
    """Stands in for a model where a clip is segmented.

    Args:
        facts: about it.
        ask: gets the logits of a question.
    """

    device = torch.device("cpu")  # where it takes its input

    def __init__(self, facts: Facts, ask: Callable[[Question], F32]) -> None:
        self.name = facts.name
        self.image_size = facts.image_size
        self.resize: Resize = facts.resize
        self.frontend = facts.frontend
        self.precision: Precision = facts.precision
        self.runtime = facts.runtime
        self._ask = ask

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Logits f32 [B,1,M,M] of images u8 [B,3,S,S] and patches f32 [B,1,frames,bands]."""
        return torch.from_numpy(self._ask(Question(images.numpy(), log_mel.numpy())))
