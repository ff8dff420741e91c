"""A whole sound as one mono wave: for corpora and clips of data sets, never for videos of any length."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from save_avs._files.regular import open_regular
from save_avs.errors import MediaError
from save_avs.types import F32


def read_audio_file(path: str | Path, *, sample_rate: int) -> F32:
    """Decode the first audio track of a file, mixed to mono at ``sample_rate`` Hz, f32 [S].

    Raises:
        MediaError: when the file holds no sound that FFmpeg can read.
    """
    try:
        with open_regular(Path(path)) as file:
            return read_audio(file, name=str(path), sample_rate=sample_rate)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read as sound ({error.strerror})") from error


def read_audio(file: IO[bytes], *, name: str, sample_rate: int) -> F32:
    """Decode the first audio track of an open file, mixed to mono at ``sample_rate`` Hz, f32 [S].

    Args:
        file: at its beginning, seekable.
        name: what messages call it.
        sample_rate: samples a second.

    Raises:
        MediaError: when the file holds no sound that FFmpeg can read.
    """
    import av
    from av.error import FFmpegError

    try:
        # The whitelist keeps playlists from opening anything else.
        options = {"protocol_whitelist": "none"}
        with av.open(file, "r", options=options, metadata_errors="replace") as container:
            resampler = av.AudioResampler("fltp", "mono", sample_rate)
            parts = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
            parts += resampler.resample(None)
    # ValueError: a damaged track may change its format halfway, which the resampler does not follow
    except (FFmpegError, IndexError, ValueError) as error:
        raise MediaError(f"{name}: cannot be read as sound ({error})") from error
    if not parts:
        raise MediaError(f"{name}: holds no sound")
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)
