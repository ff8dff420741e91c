from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

from save_avs.video.audio_blocks import AudioBlock
from save_avs.video.live_buffer import LiveBuffer, LiveFrames

RATE = 100

make_buffer = partial(
    LiveBuffer,
    readers=1,
    has_audio=True,
    chunk=4,
    sample_rate=RATE,
    audio_margin=0.5,
    frame_interval=None,
    drop=True,
)


def add_frames(buffer: LiveBuffer, *times: float) -> None:
    for time in times:
        buffer.add_frame(time, f"frame {time}")


def add_audio(buffer: LiveBuffer, start: float, end: float) -> None:
    count = round((end - start) * RATE)
    buffer.add_audio(AudioBlock(round(start * RATE), np.full((count, 1), 0.5, np.float32)))


def taken(buffer: LiveBuffer) -> LiveFrames:
    frames = buffer.take()
    assert frames is not None
    return frames


def taken_times(buffer: LiveBuffer) -> list[float]:
    return [time for time, _ in taken(buffer).frames]


def test_frames_wait_for_the_audio_after_them():
    buffer = make_buffer()
    add_frames(buffer, 0.0, 0.1, 0.2)
    add_audio(buffer, 0.0, 0.61)
    assert taken_times(buffer) == [0.0, 0.1]
    add_audio(buffer, 0.61, 0.8)
    assert taken_times(buffer) == [0.2]


def test_missing_audio_is_replaced_by_silence_after_a_second():
    buffer = make_buffer()
    add_frames(buffer, 0.0, 1.4)
    add_audio(buffer, 0.0, 0.1)
    add_frames(buffer, 1.5)
    frames = taken(buffer)
    assert [time for time, _ in frames.frames] == [0.0] and frames.start == -0.5 * RATE
    assert (frames.waveform == [0.0] * 50 + [0.5] * 10 + [0.0] * 41).all()


def test_audio_of_taken_frames_is_complete_when_more_arrives():
    buffer = make_buffer(chunk=1)
    add_frames(buffer, 1.0, 3.0)
    add_audio(buffer, 0.0, 3.0)
    frames = taken(buffer)
    add_audio(buffer, 3.0, 4.0)  # discards the audio that only the first frame needed
    assert frames.start == 0.5 * RATE and (frames.waveform == 0.5).all()


def test_remaining_frames_are_taken_at_the_end():
    buffer = make_buffer()
    add_frames(buffer, 0.0, 0.1)
    buffer.end()
    assert taken_times(buffer) == [0.0, 0.1]
    assert buffer.take() is None


def test_oldest_ready_frames_are_dropped():
    buffer = make_buffer(has_audio=False)
    add_frames(buffer, *range(10))
    frames = taken(buffer)
    assert [time for time, _ in frames.frames] == [6, 7, 8, 9] and frames.dropped == 6
    add_frames(buffer, 10)
    assert taken(buffer).dropped == 0


def test_frames_without_audio_are_not_dropped():
    buffer = make_buffer()
    add_frames(buffer, *(i / 10 for i in range(10)))
    add_audio(buffer, 0.0, 0.71)
    assert taken_times(buffer) == [0.0, 0.1, 0.2]


def test_blocking_sender_loses_no_frame():
    buffer = make_buffer(has_audio=False, drop=False)
    sender = threading.Thread(target=add_frames, args=(buffer, *range(20)), daemon=True)
    sender.start()
    seen: list[float] = []
    while len(seen) < 20:
        seen += taken_times(buffer)
    sender.join(5)
    assert seen == list(range(20)) and not sender.is_alive()


def test_stop_unblocks_the_sender():
    buffer = make_buffer(has_audio=False, drop=False)
    sender = threading.Thread(target=add_frames, args=(buffer, *range(20)), daemon=True)
    sender.start()
    buffer.stop()
    sender.join(5)
    assert not sender.is_alive()


@pytest.mark.parametrize("interval", [0.25, 1.0])
def test_frame_interval_keeps_evenly_spaced_frames(interval):
    buffer = make_buffer(has_audio=False, frame_interval=interval, chunk=100)
    add_frames(buffer, *(i / 16 for i in range(33)))
    assert taken_times(buffer) == [i * interval for i in range(round(2 / interval) + 1)]


def test_frames_with_timestamps_that_run_backwards_are_ignored():
    buffer = make_buffer(has_audio=False)
    add_frames(buffer, 1.0, 0.5, 1.0, 2.0)
    assert taken_times(buffer) == [1.0, 2.0]


def test_audio_that_no_frame_needs_is_discarded():
    buffer = make_buffer(chunk=1)
    for second in range(100):
        add_frames(buffer, float(second))
        add_audio(buffer, second, second + 1)
    assert len(buffer._audio._blocks) < 5
