"""`save-avs models`: what is bundled, can be trained and can be fetched, and what is known of each."""

from importlib.resources import files

from save_avs._text import json_document
from save_avs.cli._console import print_block, print_line
from save_avs.cli._options import AsJson


def models(as_json: AsJson = False) -> int:
    """List the models: bundled, to train, and the published weights they build on, with sizes and scores.

    \b
    Examples:
      save-avs models
      save-avs models --json

    Scores are mIoU: on composed scenes with one / two sounding objects, on real photographs, on
    AVSBench S4 / MS3.
    """
    from save_avs.weights.registry import pretrained_weights

    cards = load_cards()
    if as_json:
        print_block(json_document({"models": cards, "weights": list(pretrained_weights())}))
        return 0
    for card in cards:
        get = card["get"] if card["get"] == "bundled" else f"save-avs {card['get']}"
        print_line(f"{card['name']} ({get})")
        print_line(f"    for {card['use']}")
        print_line(f"    {card['size']}; {card['speed']}; {card['classes']}")
        print_line(f"    mIoU: scenes {card['scenes']}, real {card['real']}, S4 / MS3 {card['avsbench']}")
        print_line(f"    {card['note']}")
    print_line(f"weights to fetch (save-avs weights fetch NAME): {', '.join(pretrained_weights())}")
    print_line("your own objects: save-avs teach --help; models on the Hub: --model hf:OWNER/NAME")
    return 0


def load_cards() -> list[dict[str, str]]:
    """Return what ``models.yaml`` says of each model."""
    import yaml

    cards = yaml.safe_load(files("save_avs.cli").joinpath("models.yaml").read_text("utf-8"))
    unknown = dict.fromkeys(("speed", "scenes", "real", "avsbench"), "not measured")
    return [unknown | card for card in cards]
