"""SAVE: a SAM whose encoder hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from save_avs.audio.frontend import Frontend
from save_avs.models.adapters import AudioAdapter
from save_avs.models.audio.backbone import AudioBackbone
from save_avs.models.config import SaveConfig
from save_avs.models.hub_mixin import Pretrained
from save_avs.models.pretrained_delta import PretrainedDelta
from save_avs.models.sam.sam import Sam
from save_avs.models.semantic_head import SemanticHead

Resize = Literal["squash", "pad"]
Precision = Literal["fp32", "bf16"]


class SAVE(Pretrained, nn.Module):
    """Audio-visual segmentation with a SAM, adapters in its blocks, and an audio backbone.

    Sound reaches the picture twice: the audio adapter gives every transformer block of the image encoder a
    vector, added to all its tokens, and makes the prompt of the mask decoder.

    Args:
        sam: with image adapters in its blocks, or without.
        audio_backbone: patches [B,1,frames,bands] to [B,D]; kept frozen by the training stages.
        audio_adapter: the residual chain, or a rival.
        semantic: the head that names what sounds where; None leaves the model to marking it.
        classes: names of the sounds that ``classify_audio`` tells apart; without any it cannot be asked.
        name: how it calls itself in results.
        resize: how a frame becomes the square it was trained on.

    Attributes:
        precision: what it computes in where the caller leaves the choice to it.
        base: the published checkpoints it stands on, None where it stands alone.
        config: what it was built from, for ``save_pretrained`` alone.
        runtime: what computes it.

    Source: Nguyen & Park 2024, arXiv 2407.02004.
    """

    def __init__(
        self,
        sam: Sam,
        audio_backbone: AudioBackbone,
        audio_adapter: AudioAdapter,
        *,
        semantic: SemanticHead | None = None,
        classes: Sequence[str] = (),
        name: str = "save",
        resize: Resize = "squash",
    ) -> None:
        super().__init__()
        self.name = name
        self.runtime = "torch"
        self.resize: Resize = resize
        self.precision: Precision = "fp32"
        self.base: PretrainedDelta | None = None
        self.config: SaveConfig | None = None
        self.sam = sam
        self.audio_backbone = audio_backbone
        self.audio_adapter = audio_adapter
        self.semantic = semantic
        self.classes = tuple(classes)
        self.hearing = nn.Linear(audio_adapter.audio_dim, len(self.classes)) if self.classes else None

    @property
    def image_size(self) -> int:
        """Side of the square the model sees, pixels."""
        return self.sam.image_encoder.image_size

    @property
    def frontend(self) -> Frontend:
        """How a sound becomes the patches it hears."""
        return self.audio_backbone.frontend

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are."""
        return next(self.audio_adapter.parameters()).dtype

    def forward(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Frames and the sound beside each to mask logits.

        Args:
            images: RGB 0..255, any type, [B,3,S,S].
            log_mel: of its front-end, f32 [B,1,frames,bands].

        Returns:
            Logits [B,1,S/4,S/4]; positive where it sounds.
        """
        return self.decode(*self.encode(images, log_mel))

    def encode(
        self, images: Tensor, log_mel: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What ``forward`` hands to ``decode``: embeddings [B,C,S/16,S/16] and prompt tokens [B,N,C].

        ``features`` [B,D], where the audio backbone has seen the patches before, stand in for them.
        """
        features = self._listen(log_mel) if features is None else features
        injections, prompt = self.audio_adapter(features.to(self.dtype))
        return self.sam.image_encoder(self.sam.preprocess(images), injections), prompt

    def classify_audio(self, log_mel: Tensor) -> Tensor:
        """Name sounds: patches [B,1,frames,bands] to logits [B,classes]. The masks do not depend on it.

        Raises:
            ValueError: when the model has no classes.
        """
        if self.hearing is None:
            raise ValueError(f"{self.name} was not trained to name sounds")
        return self.hearing(self._listen(log_mel)).float()

    def decode(self, embeddings: Tensor, prompt: Tensor | None) -> Tensor:
        """Image embeddings [B,C,h,w] and prompt tokens [B,N,C] to logits [B,1,4h,4w]."""
        return self.sam.mask_decoder.masks(*self._attend(embeddings, prompt), multimask_output=False)

    def decode_classes(self, embeddings: Tensor, prompt: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `decode`, and what each cell shows: logits [B,1,4h,4w] and [B,K,4h,4w], the background first.

        Raises:
            ValueError: when the model has no semantic head.
        """
        if self.semantic is None:
            raise ValueError(f"{self.name} has no semantic head: it was not trained to name what sounds")
        tokens, upscaled = self._attend(embeddings, prompt)
        masks = self.sam.mask_decoder.masks(tokens, upscaled, multimask_output=False)
        return masks, self.semantic(tokens[:, 1], upscaled)

    def segment_classes(
        self, images: Tensor, log_mel: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Frames and the sound beside each to mask logits [B,1,M,M] and class logits [B,K,M,M], M = S/4.

        The masks are `forward`'s. The arguments are `encode`'s.

        Raises:
            ValueError: when the model has no semantic head.
        """
        return self.decode_classes(*self.encode(images, log_mel, features))

    def _listen(self, log_mel: Tensor) -> Tensor:
        """Patches [B,1,frames,bands] to audio features [B,D]."""
        return self.audio_backbone(log_mel.to(self.dtype))

    def _attend(self, embeddings: Tensor, prompt: Tensor | None) -> tuple[Tensor, Tensor]:
        """The decoder's tokens, that of the single mask second, and its upscaled embedding [B,C/8,4h,4w]."""
        prompts = self.sam.prompt_encoder
        frames = embeddings.shape[0]  # not len(): a traced graph would be of this batch alone
        if prompt is None:
            prompt = embeddings.new_zeros(frames, 0, prompts.dim)
        dense = prompts.no_mask(frames)
        return self.sam.mask_decoder.attend(embeddings, prompts.get_dense_pe(), prompt, dense)
