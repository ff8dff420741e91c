"""`segment_prompt` against transformers' SamModel with the same weights, and the command around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from save_avs.cli import main
from save_avs.errors import UsageError
from save_avs.models.prompting import segment_prompt
from save_avs.models.sam import SamConfig
from save_avs.models.serialization import save_model
from tests.support.sam_oracle import make_oracle, with_weights_of
from tests.support.tiny_model import shake, tiny_model

SIDE = 128
CONFIG = SamConfig(
    embed_dim=64,
    depth=2,
    num_heads=4,
    window_size=5,
    global_attn_indexes=(1,),
    prompt_embed_dim=64,
    decoder_mlp_dim=96,
)
MEAN, STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
PROMPTS = {
    "one point": {"points": [(90.0, 40.0)]},
    "two points": {"points": [(90.0, 40.0), (30.0, 20.0)]},
    "box": {"box": (20.0, 10.0, 100.0, 50.0)},
    "box and point": {"points": [(90.0, 40.0)], "box": (20.0, 10.0, 100.0, 50.0)},
}


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@torch.no_grad()
def expect(oracle, image: np.ndarray, points=(), box=None) -> tuple[np.ndarray, float]:
    """Mask and IoU from transformers: resized, normalized, then padded with zeros, as SAM's own predictor."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    inner = round(height * scale), round(width * scale)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    small = F.interpolate(pixels, inner, mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    square = torch.zeros(SIDE, SIDE, 3)
    square[: inner[0], : inner[1]] = (small - MEAN) / STD
    given = {}
    if points:
        given["input_points"] = torch.tensor(points)[None, None] * scale
        given["input_labels"] = torch.ones(1, 1, len(points), dtype=torch.long)
    if box:
        given["input_boxes"] = torch.tensor([[box]]) * scale
    single = len(points) == 1 and not box
    out = oracle(pixel_values=square.permute(2, 0, 1)[None], multimask_output=single, **given)
    best = int(out.iou_scores[0, 0].argmax())
    full = F.interpolate(out.pred_masks[:, 0, best, None], (max(height, width),) * 2, mode="bilinear")
    return (full[0, 0, :height, :width] > 0).numpy(), float(out.iou_scores[0, 0, best])


@pytest.fixture(scope="module")
def oracle():
    return make_oracle(CONFIG, SIDE)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("size", [(128, 128), (64, 128), (300, 200)], ids=str)
def test_masks_and_iou_are_transformers(size, prompt, oracle):
    image = photo(*size)
    found = segment_prompt(with_weights_of(oracle, CONFIG, SIDE), image, **prompt)
    mask, iou = expect(oracle, image, **prompt)
    assert found.mask.shape == size and 0.02 < mask.mean() < 0.98
    assert (found.mask == mask).mean() > 0.99  # at the edges: we pad by the mean color in whole gray levels
    assert found.iou == pytest.approx(iou, rel=0.05)


def test_the_mask_depends_on_the_prompt(oracle):
    sam, image = with_weights_of(oracle, CONFIG, SIDE), photo(128, 128)
    masks = [segment_prompt(sam, image, **prompt).mask for prompt in PROMPTS.values()]
    assert all((a != b).any() for i, a in enumerate(masks) for b in masks[:i])


@pytest.mark.parametrize(
    "prompt",
    [{}, {"points": [(128.0, 3.0)]}, {"box": (9.0, 9.0, 9.0, 20.0)}, {"points": [(float("nan"), 1.0)]}],
    ids=["none", "outside", "empty box", "nan"],
)
def test_bad_prompts_are_refused(prompt, oracle):
    with pytest.raises(UsageError):
        segment_prompt(with_weights_of(oracle, CONFIG, SIDE), photo(128, 128), **prompt)


def test_command_writes_the_mask_of_a_folder_of_transformers(oracle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    oracle.save_pretrained("sam")
    image = photo(100, 160)
    Image.fromarray(image).save("cat.png")
    line = ["prompt", "cat.png", "--box", "20,10,100,50", "--model", "sam"]
    assert main(line) == 0
    written = np.asarray(Image.open("runs/prompt/cat.png"))
    mask, iou = expect(oracle, image, box=(20.0, 10.0, 100.0, 50.0))
    assert written.dtype == np.uint8 and set(np.unique(written)) == {0, 255}
    assert ((written > 0) == mask).mean() > 0.99
    printed = float(capsys.readouterr().out.split("predicted IoU ")[1].strip(") \n"))
    assert printed == pytest.approx(iou, rel=0.05)
    assert main(line) == 2 and "--overwrite" in capsys.readouterr().err


def test_command_warns_of_a_model_that_forgot_prompts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = tiny_model()
    shake(model)
    for parameter in model.sam.mask_decoder.iou_prediction_head.parameters():
        torch.nn.init.zeros_(parameter)
    save_model(model, "model")
    Image.fromarray(photo(40, 60)).save("cat.jpg")
    assert main(["prompt", "cat.jpg", "--point", "5,6", "--model", "model"]) == 0
    assert "have forgotten prompts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "give --point"),
        (["--point", "1"], 2, "as in --point 320,200"),
        (["--box", "1,2,x,4"], 2, "as in --box"),
        (["--point", "1,1", "-o", "mask.jpg"], 2, "must be named .png"),
        (["--point", "1,1"], 2, "weights fetch sam-vit-b"),
    ],
)
def test_command_refuses(options, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    Image.fromarray(photo(40, 60)).save("cat.png")
    assert main(["prompt", "cat.png", *options]) == code
    assert said in capsys.readouterr().err
    assert not Path("runs").exists()


def test_command_names_a_file_that_is_no_image(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("cat.png").write_bytes(b"no image")
    assert main(["prompt", "cat.png", "--point", "1,1"]) == 3
    assert "cannot be read as an image" in capsys.readouterr().err


def test_an_upright_photo_of_a_phone_is_turned(tmp_path):
    from save_avs.inference.frame_folder import read_image

    image, exif = Image.fromarray(photo(40, 60)), Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "phone.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "phone.png"), np.rot90(photo(40, 60), -1))
