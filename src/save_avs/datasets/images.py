"""Opening pictures of strangers: whatever a decoder stumbles over is one line about the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from save_avs.datasets.storage import CorruptShardError, StoredFile, open_file
from save_avs.errors import DataError


@contextmanager
def open_image(path: StoredFile) -> Iterator[Image.Image]:
    """Hand out a picture that is not decoded yet; the block decodes it.

    Raises:
        DataError: when it is missing, broken, or so large that Pillow takes it for an attack.
    """
    try:
        with open_file(path) as file, Image.open(file) as image:
            yield image
    except CorruptShardError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture") from error
    # Pillow's decoders raise SyntaxError, struct.error and more for torn files
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{path}: cannot be read as a picture ({reason})") from error
