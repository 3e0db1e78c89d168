"""Sounds, videos and histograms of runs, by key and step, named as images are."""

from __future__ import annotations

import io
import json
import re
import uuid
from pathlib import Path
from typing import Any

from runlore.client.artifacts import ArtifactsClient
from runlore.client.base import now, step_number
from runlore.exceptions import InvalidParameter, MissingDependency

AUDIO = (".wav", ".mp3", ".ogg", ".opus", ".flac", ".m4a", ".aac", ".webm")
VIDEO = (".mp4", ".webm", ".mov", ".mkv", ".ogv", ".gif", ".webp", ".avi")
MAX_BINS = 4_096
_KEY = re.compile(r"[\w\-. /]{1,200}")


class MediaClient(ArtifactsClient):
    """Sounds, videos, histograms."""

    def log_audio(
        self,
        run_id: str,
        audio: Any,
        key: str,
        step: int | None = None,
        sample_rate: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Store a sound under a key for each step.

        `audio` is a file, or samples of the shape (n,) or (n, channels): floats in -1…1 (what is beyond is cut off) or integers
        of 16 bits, for which `sample_rate` (per second) has to be given. Samples are stored as WAV with 16 bits.
        """
        self._log_medium(
            run_id, "audio", AUDIO, audio, key, step, timestamp, lambda samples: (_wav(samples, sample_rate), ".wav")
        )

    def log_video(
        self, run_id: str, video: Any, key: str, step: int | None = None, fps: float = 20, timestamp: int | None = None
    ) -> None:
        """Store a video under a key for each step.

        `video` is a file, or frames: a list of images, or an array of the shape (frames, height, width) or (frames, height,
        width, 3 or 4), with the pixels of `log_image`. Frames are stored as animated WebP, for which pillow is needed.
        """
        self._log_medium(run_id, "videos", VIDEO, video, key, step, timestamp, lambda frames: (_webp(frames, fps), ".webp"))

    def log_histogram(
        self, run_id: str, values: Any, key: str, step: int | None = None, bins: Any = 64, timestamp: int | None = None
    ) -> None:
        """Store the distribution of values (an array, tensor or list) under a key for each step: weights, gradients, scores.

        `bins` is their number, or their edges. Stored are counts, edges, number, minimum, maximum, mean and standard deviation
        of the finite values, and how many are not finite.
        """
        text = json.dumps(_histogram(values, bins))
        self._write(run_id, media_stem("histograms", key, step, timestamp) + ".json", text.encode())

    def _log_medium(
        self,
        run_id: str,
        folder: str,
        suffixes: tuple[str, ...],
        medium: Any,
        key: str,
        step: int | None,
        timestamp: int | None,
        encoded: Any,
    ) -> None:
        stem = media_stem(folder, key, step, timestamp)
        if not isinstance(medium, str | Path):
            content, suffix = encoded(medium)
            self._write(run_id, stem + suffix, content)
            return
        path = Path(medium)
        if path.suffix.lower() not in suffixes:
            raise InvalidParameter(f"Expected one of {', '.join(suffixes)}, got the file {str(path)!r}.")
        with path.open("rb") as file:
            self.log_stream(run_id, file, stem + path.suffix.lower())


def media_stem(folder: str, key: str, step: Any, timestamp: Any) -> str:
    """The name, without suffix, of a file that belongs to a key and a step: MLflow's naming of images.

    Slashes become `~`, as in MLflow 3: the `#` of earlier versions makes MLflow's clients refuse the whole folder.
    """
    if not _KEY.fullmatch(str(key)):
        raise InvalidParameter(
            f"Invalid key {key!r}. It may contain letters, digits, underscores, dashes, periods, spaces and slashes."
        )
    time = now() if timestamp is None else step_number(timestamp, "timestamp")
    return f"{folder}/{str(key).replace('/', '~')}+step+{step_number(step)}+timestamp+{time}+{uuid.uuid4()}"


def array(values: Any) -> Any:
    """A numpy array of an array, a tensor (on any device, of any history) or a list."""
    import numpy

    for method in ("detach", "cpu", "numpy"):
        if hasattr(values, method) and not isinstance(values, numpy.ndarray):
            values = getattr(values, method)()
    return numpy.asarray(values)


def _wav(samples: Any, sample_rate: int | None) -> bytes:
    import wave

    import numpy

    if sample_rate is None:
        raise InvalidParameter("log_audio needs `sample_rate` for samples, such as sample_rate=44100.")
    sound = array(samples)
    if sound.ndim not in (1, 2) or sound.dtype.kind not in "fi":
        raise InvalidParameter(f"Expected samples of the shape (n,) or (n, channels), got {sound.dtype} of {sound.shape}.")
    if sound.dtype.kind == "f":
        sound = numpy.rint(numpy.nan_to_num(sound.clip(-1, 1)) * 32_767)
    elif sound.size and not (sound.min() >= -32_768 and sound.max() <= 32_767):
        raise InvalidParameter(f"Expected integers of 16 bits, got values from {sound.min()} to {sound.max()}.")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1 if sound.ndim == 1 else sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(int(sample_rate))
        file.writeframes(sound.astype("<i2").tobytes())
    return buffer.getvalue()


def _webp(frames: Any, fps: float) -> bytes:
    from runlore.client.images import pillow_image

    if not fps > 0:
        raise InvalidParameter(f"Invalid fps {fps!r}. Expected a number above 0.")
    pictures = [pillow_image(frame) for frame in (frames if isinstance(frames, list) else array(frames))]
    if not pictures:
        raise InvalidParameter("A video needs at least one frame.")
    buffer = io.BytesIO()
    try:
        pictures[0].save(buffer, "webp", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0)
    except (KeyError, OSError) as error:
        raise MissingDependency(f"This pillow can not write WebP: {error}. hint: give log_video a file.") from None
    return buffer.getvalue()


def _histogram(values: Any, bins: Any) -> dict[str, Any]:
    import numpy

    numbers = array(values).ravel()
    if numbers.dtype.kind not in "fiub":
        raise InvalidParameter(f"log_histogram expects numbers, got {numbers.dtype}.")
    if isinstance(bins, int) and not 1 <= bins <= MAX_BINS:
        raise InvalidParameter(f"Invalid number of bins {bins}. Expected 1 to {MAX_BINS:,}.")
    numbers = numbers.astype(float)
    finite = numbers[numpy.isfinite(numbers)]
    counts, edges = numpy.histogram(finite, bins=bins)
    summary = {"min": finite.min(), "max": finite.max(), "mean": finite.mean(), "std": finite.std()} if finite.size else {}
    return {
        "counts": counts.tolist(),
        "edges": edges.tolist(),
        "count": int(finite.size),
        **{name: float(value) for name, value in summary.items()},
        "non_finite": int(numbers.size - finite.size),
    }
