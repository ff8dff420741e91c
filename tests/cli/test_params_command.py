"""`save-avs params`, as it is typed."""

from __future__ import annotations

import json

from save_avs.cli import main


def test_a_table(capsys):
    assert main(["params", "save-vit-b", "--spatial", "full", "--spatial", "depthwise", "--size", "256"]) == 0
    head, rule, full, depthwise = capsys.readouterr().out.splitlines()
    assert head.startswith("| model      | px  | branch    |") and set(rule) <= set("|-: ")
    cells = [cell.strip() for cell in full.strip("|").split("|")]
    assert cells[:6] == ["save-vit-b", "256", "full", "347.14", "158.82", "188.32"]
    assert "| depthwise |" in depthwise and len({len(line) for line in (head, rule, full, depthwise)}) == 1


def test_numbers_in_full(capsys):
    assert main(["params", "save-vit-b", "save-tiny", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["spatial"]) for row in rows] == [
        ("save-vit-b", "full"),
        ("save-vit-b", "depthwise"),
        ("save-vit-b", "bottleneck"),
        ("save-vit-b", "none"),
        ("save-tiny", "bottleneck"),
    ]
    assert all(row["total"] == row["frozen"] + row["trained"] == sum(row["parts"].values()) for row in rows)


def test_wrong_options_are_one_line(capsys):
    assert main(["params", "save-vit-g"]) == 2
    assert "no model 'save-vit-g'" in capsys.readouterr().err
    assert main(["params", "save-vit-b", "--spatial", "wide"]) == 2
    assert "image_adapter.spatial: Input should be 'full'" in capsys.readouterr().err
    assert main(["params", "save-vit-b", "--size", "100"]) == 2
    assert "must be a multiple of the patch" in capsys.readouterr().err
