"""The semantic head: which class sounds at each pixel, from the mask decoder's outputs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from save_avs.models.sam.mask_decoder import MLP


class SemanticHead(nn.Module):
    """Class logits from the mask decoder's mask token and upscaled embedding.

    w_k = MLP(t + e_k);   logits_k(y, x) = w_k . u(y, x) + b_k

    t is the single mask's token after the transformer (it knows what sounds), e_k a learned embedding of
    class k, u the upscaled embedding (it knows what is where). One MLP, a hypernetwork like SAM's, serves
    all classes, so that a class costs one embedding and a bias.

    Args:
        classes: names, the background first.
        dim: channels C of the decoder's tokens; the upscaled embedding has C/8.

    Source: ours; the hypernetwork is SAM's (Kirillov et al. 2023, appendix A).
    """

    def __init__(self, classes: Sequence[str], *, dim: int) -> None:
        super().__init__()
        self.classes: tuple[str, ...] = tuple(classes)
        self.embeddings: nn.Parameter = nn.Parameter(torch.empty(len(self.classes), dim))
        self.bias: nn.Parameter = nn.Parameter(torch.zeros(len(self.classes)))
        self.hypernetwork: MLP = MLP(dim, dim, dim // 8, 3)
        nn.init.normal_(self.embeddings)

    def forward(self, token: Tensor, upscaled: Tensor) -> Tensor:
        """Mask token [B,C] and upscaled embedding [B,C/8,M,M] to class logits [B,K,M,M]."""
        hyper_in = self.hypernetwork(token[:, None] + self.embeddings)  # [B,K,C/8]
        logits = hyper_in @ upscaled.flatten(2) + self.bias[:, None]
        return logits.unflatten(2, upscaled.shape[2:])
