"""A model that lies elsewhere than where clips are decoded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from save_avs.batch.messages import Done, Failed, Kit
from save_avs.batch.remote_model import Lender
from save_avs.batch.storage import entry_of
from save_avs.batch.supervisor import WorkerSupervisor
from save_avs.errors import UsageError


@pytest.fixture
def kit(tiny) -> Kit:
    return Kit(model=str(tiny), device="cpu")


def done_by(supervisor: WorkerSupervisor, clip) -> Done | Failed:
    try:
        said = supervisor.run(entry_of(str(clip)))
    finally:
        supervisor.close()
    return replace(said, seconds=0.0) if isinstance(said, Done) else said


def test_it_marks_the_same_and_is_asked_for_all(archive, kit):
    lender, asked = Lender(kit), []

    def answer(question):
        asked.append(len(question.images))
        return lender.answer(question)

    clip = archive / "clip-05.mp4"
    lent = done_by(WorkerSupervisor(replace(kit, lent=lender.facts()), answer=answer), clip)
    assert lent == done_by(WorkerSupervisor(kit), clip)
    assert isinstance(lent, Done) and sum(asked) > 0 and lent.video_masks.areas().any()


def test_what_keeps_it_from_answering_is_the_clip_s_reason(archive, kit):
    def answer(question):
        raise ValueError("no room\non the card")

    said = done_by(
        WorkerSupervisor(replace(kit, lent=Lender(kit).facts()), answer=answer), archive / "clip-05.mp4"
    )
    assert isinstance(said, Failed) and said.status == "crashed"
    assert "the model: no room on the card (2 attempts)" in said.reason


def test_a_model_that_is_not_there():
    with pytest.raises(UsageError, match="no model 'nowhere'"):
        Lender(Kit(model="nowhere")).facts()
