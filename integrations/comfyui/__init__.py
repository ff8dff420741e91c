"""A ComfyUI node: a batch of images and their sound go in, the mask of the sounding objects comes out."""

from functools import lru_cache
from typing import Any

import torch

import save_avs


@lru_cache(maxsize=1)
def load(name: str) -> Any:
    """Load a model, and keep it while the name stays the same."""
    return save_avs.load_model(name)


class SoundingObjects:
    """IMAGE f32 [B,H,W,3] in 0..1 and AUDIO {"waveform": f32 [1,C,S], "sample_rate"} -> MASK f32 [B,H,W]."""

    CATEGORY = "mask"
    DESCRIPTION = "Masks what makes the sound in the frames of a video."
    FUNCTION = "segment"
    RETURN_TYPES = ("MASK",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802, ComfyUI's name
        """Return the sockets and widgets of the node."""
        unit = {"min": 0.0, "max": 1.0, "step": 0.01}
        return {
            "required": {
                "images": ("IMAGE",),
                "fps": ("FLOAT", {"default": 24.0, "min": 0.1, "max": 240.0, "step": 0.001}),
                "model": ("STRING", {"default": "save-small"}),
                "threshold": ("FLOAT", {"default": 0.5, **unit}),
                "smooth": ("FLOAT", {"default": 0.0, **unit, "tooltip": "seconds; 0 for none"}),
            },
            "optional": {"audio": ("AUDIO",)},  # a video without sound gives None, and empty masks
        }

    def segment(
        self,
        images: torch.Tensor,
        fps: float,
        model: str,
        threshold: float,
        smooth: float,
        audio: dict[str, Any] | None = None,
    ) -> tuple[torch.Tensor]:
        """Segment the frames; the sound starts with the first of them."""
        sound = (
            {} if audio is None else {"waveform": audio["waveform"][0], "sample_rate": audio["sample_rate"]}
        )
        result = save_avs.segment_arrays(
            images[..., :3].clamp(0, 1),
            fps=fps,
            model=load(model),
            threshold=threshold,
            smooth=smooth,
            **sound,
        )
        return (torch.from_numpy(result.masks).float(),)


NODE_CLASS_MAPPINGS = {"SaveAvsSoundingObjects": SoundingObjects}
NODE_DISPLAY_NAME_MAPPINGS = {"SaveAvsSoundingObjects": "Sounding Objects (SAVE)"}
