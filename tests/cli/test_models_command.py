"""The list of models: from one file, as the command, the page and the models themselves say it."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from save_avs._text import markdown_table
from save_avs.cli import main
from save_avs.cli.models import load_cards
from save_avs.runtimes.loading import BUNDLED, DEFAULT_MODEL, find_model_folder, load_model
from tests.support.cli_runner import parse
from tests.support.docs.code_blocks import ROOT

CARDS = {card["name"]: SimpleNamespace(**card) for card in load_cards()}


def test_page_shows_the_cards():
    head = ("model", "for", "get it", "size", "speed, 2 cores", "classes", "scenes", "real", "S4 / MS3")
    rows = [
        (c.name, c.use, c.get, c.size, c.speed, c.classes, c.scenes, c.real, c.avsbench)
        for c in CARDS.values()
    ]
    assert markdown_table(head, rows) in (ROOT / "docs/guides/which-model.md").read_text()


def test_default_model_alone_is_bundled():
    assert [name for name, card in CARDS.items() if card.get == "bundled"] == [DEFAULT_MODEL]


@pytest.mark.parametrize("name", BUNDLED)
def test_card_of_a_bundled_model_says_what_its_files_say(name):
    folder, model = find_model_folder(name), load_model(name, device="cpu")
    megabytes = (folder / "model.safetensors").stat().st_size / 1e6
    assert CARDS[name].size == f"{megabytes:.0f} MB"
    assert CARDS[name].classes.startswith(f"{len(model.classes)} sounds")
    one, two = CARDS[name].scenes.split(" / ")
    readme = (folder / "README.md").read_text()
    for title, score in (("mIoU, one sounding object", one), ("mIoU, two sounding objects", two)):
        (measured,) = re.findall(rf"\| {title} \| ([\d.]+)", readme)[:1]
        assert f"{float(measured):.2f}" == score


@pytest.mark.parametrize("card", [c for c in CARDS.values() if c.get != "bundled"], ids=lambda c: c.name)
def test_models_to_train_have_their_recipe(card):
    words = card.get.split()
    parse(words)
    assert (ROOT / "src/save_avs/recipes" / f"{words[1]}.yaml").is_file()


def test_command_lists_every_card_and_what_was_not_measured(capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name} (" in printed for name in CARDS)
    assert "S4 / MS3 not measured" in printed and "sam-vit-b" in printed
    assert main(["models", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["models"]] == list(CARDS)
