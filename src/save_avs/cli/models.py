"""`save-avs models`: what is bundled, can be trained and can be fetched, and what is known of each."""

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
    from save_avs.runtimes.model_cards import load_cards
    from save_avs.weights.registry import PRETRAINED_WEIGHTS

    cards = load_cards()
    if as_json:
        document = {"models": [card.model_dump() for card in cards], "weights": list(PRETRAINED_WEIGHTS)}
        print_block(json_document(document))
        return 0
    for card in cards:
        get = card.get if card.get == "bundled" else f"save-avs {card.get}"
        print_line(f"{card.name} ({get})")
        print_line(f"    for {card.use}")
        print_line(f"    {card.size}; {card.speed}; {card.classes}")
        print_line(f"    mIoU: scenes {card.scenes}, real {card.real}, S4 / MS3 {card.avsbench}")
        print_line(f"    {card.note}")
    print_line(f"weights to fetch (save-avs weights fetch NAME): {', '.join(PRETRAINED_WEIGHTS)}")
    print_line("your own objects: save-avs teach --help; models on the Hub: --model hf:OWNER/NAME")
    return 0
