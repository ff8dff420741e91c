"""A SAVE on ViT-B: before training it says what transformers' SAM says."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from save_avs.models import SaveConfig, build_from_pretrained
from save_avs.models.sam import PRESETS
from save_avs.weights.transformers_sam_keys import remap_transformers_sam
from tests.support.sam_oracle import make_oracle

SIZE = 256  # pixels


@pytest.mark.slow
@torch.no_grad()
def test_both_formats_load_into_save_and_answer_as_transformers(tmp_path):
    oracle = make_oracle(PRESETS["vit_b"], SIZE)
    state = oracle.state_dict()
    torch.save(remap_transformers_sam(state), tmp_path / "meta.pth")
    (tmp_path / "hub").mkdir()
    save_file({key: t.clone() for key, t in state.items()}, tmp_path / "hub" / "model.safetensors")
    # with the lightest branch and backbone: a fresh adapter is a no-op, whichever it is
    config = SaveConfig.from_preset(
        "save-vit-b", image_size=SIZE, audio="compact", image_adapter={"spatial": "none"}
    )
    torch.manual_seed(0)
    model = build_from_pretrained(config, sam=tmp_path / "meta.pth").eval()
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (1, 3, SIZE, SIZE), generator=draw, dtype=torch.uint8)
    log_mel = torch.randn(1, 1, 96, 64, generator=draw)

    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    embeddings = oracle.get_image_embeddings((images - mean) / std)
    found, prompt = model.encode(images, log_mel)
    assert prompt is not None and float(embeddings.std()) > 0.1
    assert float((found - embeddings).abs().max()) < 1e-4

    dense = oracle.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(1, -1, SIZE // 16, SIZE // 16)
    where = oracle.get_image_wide_positional_embeddings()
    logits = oracle.mask_decoder(embeddings, where, prompt[:, None], dense, multimask_output=False)[0]
    assert float(logits.std()) > 0.1
    assert float((model.decode(embeddings, prompt) - logits[:, 0]).abs().max()) < 1e-4

    other = build_from_pretrained(config, sam=tmp_path / "hub").sam.state_dict()
    own = model.sam.state_dict()
    given = [key for key in own if ".adapter." not in key]
    assert len(given) == 314 and all(torch.equal(own[key], other[key]) for key in given)
