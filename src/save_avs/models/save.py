"""SAVE: a SAM with adapters in its image encoder and an audio backbone."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from save_avs.audio.frontend import Frontend
from save_avs.models.adapters.audio_adapters import AudioAdapter
from save_avs.models.audio.pretrained_backbone import AudioBackbone
from save_avs.models.config import SaveConfig
from save_avs.models.image_stem import ImageStem
from save_avs.models.pretrained import PretrainedDelta
from save_avs.models.sam.sam import Sam
from save_avs.models.semantic_head import SemanticHead

Resize = Literal["squash", "pad"]
Precision = Literal["fp32", "bf16"]


class SAVE(nn.Module):
    """Audio-visual segmentation with a SAM, adapters in its blocks, and an audio backbone.

    Sound reaches the masks twice: the audio adapter makes a vector for every transformer block of the image
    encoder, added to all its tokens, and the prompt tokens of the mask decoder.

    Args:
        sam: with image adapters in its blocks, or without.
        audio_backbone: log-mel patches [B,1,frames,bands] to [B,D]; kept frozen by the training stages.
        audio_adapter: the residual chain, or SAMA-AVS's.
        stem: adds a convolutional network's features to the patches; None for SAM's own patches alone.
        semantic: the semantic head; None for binary masks alone.
        classes: names of the sounds that ``classify_audio`` tells apart; none for no audio classifier.
        name: its name in results.
        resize: how a frame becomes the model's square input.

    Attributes:
        precision: what it computes in unless the caller chooses.
        pretrained: the published checkpoints it was built on; None for none.
        config: what it was built from; None when it was not built by ``build_save``.
        runtime: always "torch".
        checksum: of the files it was loaded from; empty for one built in memory.

    Source: Nguyen & Park 2024, arXiv 2407.02004.
    """

    def __init__(
        self,
        sam: Sam,
        audio_backbone: AudioBackbone,
        audio_adapter: AudioAdapter,
        *,
        stem: ImageStem | None = None,
        semantic: SemanticHead | None = None,
        classes: Sequence[str] = (),
        name: str = "save",
        resize: Resize = "squash",
    ) -> None:
        super().__init__()
        self.name = name
        self.runtime = "torch"
        self.checksum: str = ""
        self.resize: Resize = resize
        self.precision: Precision = "fp32"
        self.pretrained: PretrainedDelta | None = None
        self.config: SaveConfig | None = None
        self.sam = sam
        self.audio_backbone = audio_backbone
        self.audio_adapter = audio_adapter
        self.stem = stem
        self.semantic = semantic
        self.classes: tuple[str, ...] = tuple(classes)
        audio_dim = audio_adapter.audio_dim
        self.audio_classifier: nn.Linear | None = (
            nn.Linear(audio_dim, len(self.classes)) if self.classes else None
        )

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.sam.image_encoder.image_size

    @property
    def frontend(self) -> Frontend:
        """The front-end that computes its log-mel patches."""
        return self.audio_backbone.frontend

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""
        return next(self.audio_adapter.parameters()).dtype

    def forward(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Frames and their sound to mask logits.

        Args:
            images: RGB 0..255, any dtype, [B,3,S,S].
            log_mel: one patch of its front-end per frame, f32 [B,1,frames,bands].

        Returns:
            Logits [B,1,S/4,S/4]; positive on the sounding object.
        """
        return self.decode(*self.encode(images, log_mel))

    def encode(
        self,
        images: Tensor,
        log_mel: Tensor,
        features: Tensor | None = None,
        sam_images: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Image embeddings [B,C,S/16,S/16] and prompt tokens [B,N,C], the arguments of ``decode``.

        ``features`` [B,D], precomputed by the audio backbone, are used instead of the patches. SAM's own
        patches are cut from ``sam_images``, if given, while the stem sees ``images``.
        """
        features = self._encode_audio(log_mel) if features is None else features
        injections, prompt = self.audio_adapter(features.to(self.dtype))
        return self.encode_image(images, injections, sam_images), prompt

    def encode_image(
        self,
        images: Tensor,
        injections: Sequence[Tensor | None] | None = None,
        sam_images: Tensor | None = None,
    ) -> Tensor:
        """Frames [B,3,S,S] to image embeddings [B,C,S/16,S/16]; no sound without injections."""
        tokens = None if self.stem is None else self.stem(images)
        sam_images = images if sam_images is None else sam_images
        return self.sam.image_encoder(self.sam.preprocess(sam_images), injections, tokens)

    def classify_audio(self, log_mel: Tensor) -> Tensor:
        """Log-mel patches [B,1,frames,bands] to logits [B,classes]; the masks do not depend on them.

        Raises:
            ValueError: when the model has no classes.
        """
        if self.audio_classifier is None:
            raise ValueError(f"{self.name} has no audio classifier")
        return self.audio_classifier(self._encode_audio(log_mel)).float()

    def decode(self, embeddings: Tensor, prompt: Tensor | None) -> Tensor:
        """Image embeddings [B,C,h,w] and prompt tokens [B,N,C] to logits [B,1,4h,4w]."""
        tokens, upscaled = self._decode_tokens(embeddings, prompt)
        return self.sam.mask_decoder.predict_masks(tokens, upscaled, multimask_output=False)

    def decode_classes(self, embeddings: Tensor, prompt: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `decode`, with class logits: [B,1,4h,4w] and [B,K,4h,4w], the background first.

        Raises:
            ValueError: when the model has no semantic head.
        """
        if self.semantic is None:
            raise ValueError(f"{self.name} has no semantic head")
        tokens, upscaled = self._decode_tokens(embeddings, prompt)
        masks = self.sam.mask_decoder.predict_masks(tokens, upscaled, multimask_output=False)
        return masks, self.semantic(tokens[:, 1], upscaled)

    def segment_classes(
        self, images: Tensor, log_mel: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Frames and their sound to mask logits [B,1,M,M] and class logits [B,K,M,M], M = S/4.

        The masks are `forward`'s. The arguments are `encode`'s.
        """
        return self.decode_classes(*self.encode(images, log_mel, features))

    def _encode_audio(self, log_mel: Tensor) -> Tensor:
        """Log-mel patches [B,1,frames,bands] to audio features [B,D]."""
        return self.audio_backbone(log_mel.to(self.dtype))

    def _decode_tokens(self, embeddings: Tensor, prompt: Tensor | None) -> tuple[Tensor, Tensor]:
        """The decoder's tokens, that of the single mask second, and its upscaled embedding [B,C/8,4h,4w]."""
        prompt_encoder = self.sam.prompt_encoder
        frames = embeddings.shape[0]  # not len(): a traced graph would be of this batch alone
        if prompt is None:
            prompt = embeddings.new_zeros(frames, 0, prompt_encoder.embed_dim)
        dense = prompt_encoder.no_mask_dense(frames)
        return self.sam.mask_decoder.decode_tokens(embeddings, prompt_encoder.get_dense_pe(), prompt, dense)
