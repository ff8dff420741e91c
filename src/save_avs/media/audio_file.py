"""A whole sound file as one mono wave: for corpora of short sounds, never for videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from save_avs.errors import MediaError
from save_avs.types import F32


def read_audio_file(path: str | Path, *, rate: int) -> F32:
    """Decode the first audio track of a file, mixed to mono at ``rate`` Hz, f32 [S].

    Raises:
        MediaError: when the file holds no sound that FFmpeg can read.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler("fltp", "mono", rate)
            parts = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
            parts += resampler.resample(None)
    except (FFmpegError, IndexError) as error:
        raise MediaError(f"{path}: cannot be read as sound ({error})") from error
    if not parts:
        raise MediaError(f"{path}: holds no sound")
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)
