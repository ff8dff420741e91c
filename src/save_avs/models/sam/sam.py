"""Segment Anything: image encoder, prompt encoder and mask decoder."""

import torch
from torch import Tensor, nn

from save_avs.models.sam.image_encoder import ImageEncoderViT
from save_avs.models.sam.mask_decoder import MaskDecoder
from save_avs.models.sam.prompt_encoder import PromptEncoder

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class Sam(nn.Module):
    """Segment Anything with the official checkpoints' parameter names.

    Source: Kirillov et al. 2023, "Segment Anything", arXiv 2304.02643.
    """

    def __init__(
        self, image_encoder: ImageEncoderViT, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalize RGB images 0..255 [B,3,S,S], of any dtype, to the image encoder's input and dtype."""
        mean = torch.tensor(PIXEL_MEAN, device=images.device).view(-1, 1, 1)
        std = torch.tensor(PIXEL_STD, device=images.device).view(-1, 1, 1)
        return ((images - mean) / std).to(self.image_encoder.pos_embed.dtype)

    def encode_image(self, images: Tensor) -> Tensor:
        """RGB images 0..255 [B,3,S,S] to image embeddings [B,C,S/16,S/16]."""
        return self.image_encoder(self.preprocess(images))

    def forward(
        self,
        images: Tensor,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask_output: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Normalized images [B,3,S,S] and one prompt set each to mask logits and predicted IoU.

        The prompts are `PromptEncoder.forward`'s, the results `MaskDecoder.forward`'s.
        """
        embeddings = self.image_encoder(images)
        sparse, dense = self.prompt_encoder(points, boxes, masks)
        sparse, dense = sparse.expand(len(images), -1, -1), dense.expand(len(images), -1, -1, -1)
        return self.mask_decoder(
            embeddings, self.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output
        )
