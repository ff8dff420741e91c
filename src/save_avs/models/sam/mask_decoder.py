"""SAM's mask decoder: image embedding and prompt to mask logits and their predicted IoU."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.sam.common import LayerNorm2d
from save_avs.models.sam.cpu_kernels import Linear
from save_avs.models.sam.transformer import TwoWayTransformer


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int, num_layers: int) -> None:
        super().__init__()
        widths = [input_dim, *[hidden_dim] * (num_layers - 1), output_dim]
        self.layers: nn.ModuleList = nn.ModuleList(Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """[...,input_dim] -> [...,output_dim]."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class MaskDecoder(nn.Module):
    """Image embeddings and one prompt set per image to mask logits.

    Image i meets prompt i, never another's.

    The transformer is ``transformer_dim`` channels (C) wide; the other arguments are `SamConfig`'s sizes.

    Source: Kirillov et al. 2023, appendix A; parameter names as in the official checkpoints.
    """

    def __init__(
        self,
        *,
        transformer: TwoWayTransformer,
        transformer_dim: int = 256,
        num_multimask_outputs: int = 3,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
    ) -> None:
        super().__init__()
        dim, num_mask_tokens = transformer_dim, num_multimask_outputs + 1
        self.transformer = transformer
        self.iou_token: nn.Embedding = nn.Embedding(1, dim)
        self.mask_tokens: nn.Embedding = nn.Embedding(num_mask_tokens, dim)
        self.output_upscaling: nn.Sequential = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps: nn.ModuleList = nn.ModuleList(
            MLP(dim, dim, dim // 8, 3) for _ in range(num_mask_tokens)
        )
        self.iou_prediction_head: MLP = MLP(dim, iou_head_hidden_dim, num_mask_tokens, iou_head_depth)

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Decode B images with B prompt sets.

        Args:
            image_embeddings: [B,C,h,w].
            image_pe: [1,C,h,w], `PromptEncoder.get_dense_pe()`.
            sparse_prompt_embeddings: [B,N,C].
            dense_prompt_embeddings: [B,C,h,w].
            multimask_output: three masks for an ambiguous prompt, or the single one.

        Returns:
            mask logits [B,1 or 3,4h,4w] and predicted IoU [B,1 or 3].
        """
        tokens, upscaled = self.decode_tokens(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings
        )
        masks = self.predict_masks(tokens, upscaled, multimask_output)
        iou = self.iou_prediction_head(tokens[:, 0])
        return masks, iou[:, 1:] if multimask_output else iou[:, :1]

    def decode_tokens(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Run the transformer; the arguments are `forward`'s.

        Returns:
            tokens [B,1+masks+N,C]: the IoU's, the masks', the prompt's; and the upscaled embedding
            [B,C/8,4h,4w].
        """
        b, _, h, w = image_embeddings.shape
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        prompt_tokens = sparse_prompt_embeddings.to(output_tokens.dtype)
        tokens = torch.cat([output_tokens.expand(b, -1, -1), prompt_tokens], dim=1)
        tokens, image = self.transformer(image_embeddings + dense_prompt_embeddings, image_pe, tokens)
        return tokens, self.output_upscaling(image.transpose(1, 2).unflatten(2, (h, w)))

    def predict_masks(self, tokens: Tensor, upscaled: Tensor, multimask_output: bool) -> Tensor:
        """Mask logits [B,1 or 3,4h,4w] from what `decode_tokens` returns."""
        selected = range(1, self.mask_tokens.num_embeddings) if multimask_output else range(1)
        hyper_in = torch.stack(
            [self.output_hypernetworks_mlps[i](tokens[:, 1 + i]) for i in selected], dim=1
        )  # [B,masks,C/8]
        return (hyper_in @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
