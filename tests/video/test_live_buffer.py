"""Which pictures of a live source are ripe, and which give way."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from save_avs.video.audio_blocks import AudioBlock
from save_avs.video.live_buffer import LiveBuffer

RATE = 100


def waiting(**options) -> LiveBuffer:
    plain = {
        "readers": 1,
        "sounds": True,
        "chunk": 4,
        "rate": RATE,
        "margin": 0.5,
        "step": None,
        "drop": True,
    }
    return LiveBuffer(**(plain | options))


def show(buffer: LiveBuffer, *times: float) -> None:
    for time in times:
        buffer.add_frame(time, f"picture {time}")


def hear(buffer: LiveBuffer, start: float, end: float) -> None:
    count = round((end - start) * RATE)
    buffer.add_audio(AudioBlock(round(start * RATE), np.full((count, 1), 0.5, np.float32)))


def times(taken) -> list[float]:
    return [time for time, _ in taken.pictures]


def test_pictures_wait_for_the_sound_that_follows_them():
    buffer = waiting()
    show(buffer, 0.0, 0.1, 0.2)
    hear(buffer, 0.0, 0.61)
    assert times(buffer.take()) == [0.0, 0.1]
    hear(buffer, 0.61, 0.8)
    assert times(buffer.take()) == [0.2]


def test_sound_that_does_not_come_is_waited_for_a_second():
    buffer = waiting()
    show(buffer, 0.0, 1.4)
    hear(buffer, 0.0, 0.1)
    show(buffer, 1.5)
    taken = buffer.take()
    assert times(taken) == [0.0] and taken.start == -0.5 * RATE
    assert (taken.waveform == [0.0] * 50 + [0.5] * 10 + [0.0] * 41).all()


def test_the_sound_of_what_is_taken_stays_whole_whatever_comes_next():
    buffer = waiting(chunk=1)
    show(buffer, 1.0, 3.0)
    hear(buffer, 0.0, 3.0)
    taken = buffer.take()
    hear(buffer, 3.0, 4.0)  # only the second picture waits now, and the first's sound goes
    assert taken.start == 0.5 * RATE and (taken.waveform == 0.5).all()


def test_what_is_left_at_the_end_is_handed_out():
    buffer = waiting()
    show(buffer, 0.0, 0.1)
    buffer.end()
    assert times(buffer.take()) == [0.0, 0.1]
    assert buffer.take() is None


def test_the_oldest_give_way():
    buffer = waiting(sounds=False)
    show(buffer, *range(10))
    taken = buffer.take()
    assert times(taken) == [6, 7, 8, 9] and taken.left_out == 6
    show(buffer, 10)
    assert buffer.take().left_out == 0


def test_unripe_pictures_do_not_give_way():
    buffer = waiting()
    show(buffer, *(i / 10 for i in range(10)))
    hear(buffer, 0.0, 0.71)
    assert times(buffer.take()) == [0.0, 0.1, 0.2]


def test_a_patient_sender_waits():
    buffer = waiting(sounds=False, drop=False)
    sender = threading.Thread(target=show, args=(buffer, *range(20)), daemon=True)
    sender.start()
    seen = []
    while len(seen) < 20:
        seen += times(buffer.take())
    sender.join(5)
    assert seen == list(range(20)) and not sender.is_alive()


def test_stopping_lets_a_waiting_sender_go():
    buffer = waiting(sounds=False, drop=False)
    sender = threading.Thread(target=show, args=(buffer, *range(20)), daemon=True)
    sender.start()
    buffer.stop()
    sender.join(5)
    assert not sender.is_alive()


@pytest.mark.parametrize("step", [0.25, 1.0])
def test_fewer_pictures_are_spread_evenly(step):
    buffer = waiting(sounds=False, step=step, chunk=100)
    show(buffer, *(i / 16 for i in range(33)))
    assert times(buffer.take()) == [i * step for i in range(round(2 / step) + 1)]


def test_times_that_run_backwards_are_passed_over():
    buffer = waiting(sounds=False)
    show(buffer, 1.0, 0.5, 1.0, 2.0)
    assert times(buffer.take()) == [1.0, 2.0]


def test_sound_is_not_hoarded_while_no_picture_needs_it():
    buffer = waiting(chunk=1)
    for second in range(100):
        show(buffer, float(second))
        hear(buffer, second, second + 1)
    assert len(buffer._held._blocks) < 5
