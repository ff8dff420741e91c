"""What each model is for and what is known of it, from ``model_cards.yaml``."""

from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

UNKNOWN = "not measured"


class ModelCard(BaseModel):
    """One model: how to get it, its size, speed and classes, and its scores, published or measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    get: str  # ``bundled``, or the arguments of save-avs that make it
    use: str
    size: str  # of its own file
    speed: str = UNKNOWN  # on two cores
    classes: str  # sounds that it names
    scenes: str = UNKNOWN  # mIoU on composed scenes, one / two sounding objects
    real: str = UNKNOWN  # mIoU on real photographs
    avsbench: str = UNKNOWN  # mIoU on S4 / MS3
    note: str


def load_cards() -> tuple[ModelCard, ...]:
    """Return the cards of all models."""
    text = files("save_avs.runtimes").joinpath("model_cards.yaml").read_text("utf-8")
    return tuple(map(ModelCard.model_validate, yaml.safe_load(text)))
