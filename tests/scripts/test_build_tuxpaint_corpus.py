"""The committed plan of the Tux Paint corpus: what training may see, and what it must not."""

from __future__ import annotations

from collections import Counter

import pytest

from save_avs.errors import UsageError
from scripts import build_tuxpaint_corpus as tuxpaint
from scripts.build_tuxpaint_corpus import KINDS, assign_images, build_tuxpaint_corpus, load_plan, phrases

ZERO_SHOT = {"tiger", "owl", "bassoon", "donkey", "gorilla", "turkey", "hornet", "whale", "kettle", "fox"}
PLAN = load_plan()
NAMED = sorted(
    {
        image
        for e in [*PLAN["classes"].values(), *PLAN["zero_shot"].values()]
        for image in [*e["appearances"], *e.get("test", [])]
    }
    | set(PLAN["never"])
)
# Stamps that no class names: things of every kind, a mirrored one, one from a folder that is not taken.
OTHERS = [f"{folder}/thing-{i}" for kind in KINDS for folder in PLAN[kind]["folders"] for i in range(12)]
STAMPS = sorted({*NAMED, *OTHERS, "food/thing_mirror", "symbols/star"})
ASSIGNED = list(assign_images(PLAN, STAMPS))


def appearances(entry) -> list[str]:
    return [*entry["appearances"], *entry.get("test", [])]


def test_the_ten_zero_shot_classes_are_in_no_training_stage():
    assert set(PLAN["zero_shot"]) == ZERO_SHOT
    assert not ZERO_SHOT & set(PLAN["classes"])
    kept = {image for entry in PLAN["zero_shot"].values() for image in appearances(entry)}
    assert {a.group for a in ASSIGNED if a.stamp in kept} == ZERO_SHOT
    sounds = {s for entry in PLAN["classes"].values() for s in entry.get("sounds", [])}
    assert not sounds & {s for entry in PLAN["zero_shot"].values() for s in entry.get("sounds", [])}
    for name in ZERO_SHOT:  # no second tiger under another name, save those that are in nothing
        relatives = {a.group for a in ASSIGNED if a.stamp.rsplit("/", 1)[-1].startswith(name)}
        assert relatives <= {name}


def test_each_stamp_serves_one_group():
    counts = Counter(a.stamp for a in ASSIGNED)
    assert counts.most_common(1)[0][1] == 1


def test_excluded_stamps_are_unassigned():
    taken = {a.stamp for a in ASSIGNED}
    assert not taken & set(PLAN["never"])
    assert not taken & {"food/thing_mirror", "symbols/star"}


def test_class_with_three_appearances_keeps_one_for_testing():
    for name, entry in PLAN["classes"].items():
        mine = {a.stamp: a.splits for a in ASSIGNED if a.group == name}
        for image in entry["appearances"]:
            assert mine[image] == (("train", "val") if "test" in entry else None)
        for image in entry.get("test", []):
            assert mine[image] == ("test",)
        assert ("test" in entry) == (len(appearances(entry)) >= 3), name


def test_one_in_five_silent_stamps_is_for_testing():
    silent = [a for a in ASSIGNED if a.group == "silent"]
    held = [a for a in silent if a.splits == ("test", "zero-shot")]
    assert {a.splits for a in silent} == {("test", "zero-shot"), ("train", "val")}
    assert 0.1 < len(held) / len(silent) < 0.3
    assert {a.splits for a in ASSIGNED if a.group == "promptable"} == {("train", "val")}


def test_every_class_has_appearances_and_sounds():
    for entry in [*PLAN["classes"].values(), *PLAN["zero_shot"].values()]:
        assert entry["appearances"] and (entry.get("sounds") or entry.get("notes"))
    assert 60 <= len(PLAN["classes"]) + len(PLAN["zero_shot"]) <= 80


def test_backgrounds_of_splits_are_disjoint():
    lists = PLAN["backgrounds"]
    assert set(lists) == {"train", "val", "test"}
    names = [name for photographs in lists.values() for name in photographs]
    assert len(names) == len(set(names)) and all(lists.values())


def test_plasma_wallpapers_are_not_used():
    packages = [
        name for value in PLAN["packages"].values() for name in ([value] if isinstance(value, str) else value)
    ]
    assert not any("plasma" in name for name in packages)


@pytest.mark.parametrize(
    "notes", [{"program": 40, "keys": [60, 93]}, {"drums": [49, 57]}, {"pattern": [36, 42, 38, 42]}]
)
def test_phrases_stay_within_the_instrument(notes):
    played = list(phrases(notes))
    assert played == list(phrases(notes)) and len(played) in {8, 16}
    for phrase in played:
        assert [note.start for note in phrase] == sorted(note.start for note in phrase)
        if "keys" in notes:
            assert all(60 <= note.key <= 93 and note.program == 40 for note in phrase)
        else:
            assert {note.key for note in phrase} == set(next(iter(notes.values())))
            assert all(note.channel == 9 for note in phrase)


def test_midi_file_has_the_notes(tmp_path):
    mido = pytest.importorskip("mido")
    from scripts.build_tuxpaint_corpus import Note, write_midi

    write_midi(tmp_path / "a.mid", [Note(0.0, 0, 40, 60), Note(0.7, 0, 40, 64)])
    now, struck = 0.0, {}
    for message in mido.MidiFile(tmp_path / "a.mid"):
        now += message.time
        if message.type == "note_on":
            struck[message.note] = round(now, 3)
    assert struck == {60: 0.0, 64: 0.7}


def test_missing_tools_are_reported_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(
        tuxpaint.shutil, "which", lambda tool: None if tool == "fluidsynth" else f"/usr/bin/{tool}"
    )
    with pytest.raises(UsageError, match="requires fluidsynth: apt-get install fluidsynth"):
        build_tuxpaint_corpus(tmp_path / "corpus")
    monkeypatch.setattr("scripts.build_tuxpaint_corpus.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"requires mido: pip install --group corpus"):
        build_tuxpaint_corpus(tmp_path / "corpus")
    assert not list(tmp_path.iterdir())


def test_existing_corpus_is_left_unchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(tuxpaint.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    with pytest.raises(UsageError, match="already exists"):
        build_tuxpaint_corpus(tmp_path)
