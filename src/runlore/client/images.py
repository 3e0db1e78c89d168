"""Images of runs, by file name or by key and step, in MLflow's naming."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from runlore.api.runs import SetTag
from runlore.client.base import RunOperations
from runlore.client.media import MediaClient, media_stem
from runlore.exceptions import InvalidParameter, MissingDependency

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image as PillowImage

logger = logging.getLogger("runlore")

THUMBNAIL_SIDE = 256
LOGGED_IMAGES_TAG = "mlflow.loggedImages"


class Image:
    """An image to log: from a pillow image, a numpy array, or a list of rows of pixels."""

    def __init__(self, image: Any) -> None:
        self.image: PillowImage = pillow_image(image)

    def to_array(self) -> numpy.ndarray[Any, Any]:
        """The pixels, (height, width, channels) or (height, width)."""
        import numpy

        return numpy.array(self.image)

    def to_list(self) -> list[Any]:
        """The pixels as nested lists."""
        pixels: list[Any] = self.to_array().tolist()
        return pixels

    def to_pil(self) -> PillowImage:
        """The pillow image."""
        return self.image

    def save(self, path: str | Path) -> None:
        """Write to a local file; the format follows from the name."""
        self.image.save(path)

    def resize(self, size: tuple[int, int]) -> Image:
        """A copy of this size that keeps the proportions: `size` (width, height) is a bound."""
        copy = self.image.copy()
        copy.thumbnail(size)
        return Image(copy)


class ImagesClient(MediaClient):
    """Images. Needs pillow."""

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> RunOperations | None:
        """Store an image under a file name, or under a key for each step.

        `image` is a numpy array, a pillow image, or an `Image`. Arrays have the shape (H, W), (H, W, 1), (H, W, 3) or
        (H, W, 4); integers lie in 0…255, floats in 0…1, booleans are black and white. `timestamp` is in Unix milliseconds.
        """
        if (key is None) == (artifact_file is None):
            raise InvalidParameter("Give log_image either `artifact_file`, or `key` (and `step`), and not both.")
        picture = pillow_image(image)
        if artifact_file is not None:
            self._write(run_id, artifact_file, encoded_image(picture, PurePosixPath(artifact_file).suffix.lstrip(".") or "png"))
            return None
        stem = media_stem("images", str(key), step, timestamp)
        thumbnail = picture.copy()
        thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        self._write(run_id, f"{stem}.png", encoded_image(picture, "png"))
        self._write(run_id, f"{stem}+compressed.webp", encoded_image(thumbnail, "webp"))
        done = self._log([SetTag(run_id=run_id, key=LOGGED_IMAGES_TAG, value="True")], True)
        return done if synchronous is not False else RunOperations()


def is_image(value: Any) -> bool:
    """True for pillow's images and ours; pillow is not imported to find out."""
    pillow = sys.modules.get("PIL.Image")
    return isinstance(value, Image) or (pillow is not None and isinstance(value, pillow.Image))


def pillow_image(image: Any) -> Any:
    """A pillow image of an array, a list of rows, an `Image`, or a pillow image."""
    try:
        from PIL import Image as pillow
    except ModuleNotFoundError:
        raise MissingDependency("Images need pillow, which is not installed. hint: pip install pillow") from None
    if isinstance(image, Image):
        return image.to_pil()
    if isinstance(image, pillow.Image):
        return image
    if isinstance(image, list) or hasattr(image, "__array__"):
        return pillow.fromarray(_pixels(image))
    raise InvalidParameter(
        f"Unsupported image object type: {type(image)}. Expected a numpy array, a pillow image or runlore.Image."
    )


def _pixels(image: Any) -> Any:
    """An array of bytes, (H, W) or (H, W, 3 or 4)."""
    import numpy

    array = numpy.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InvalidParameter(f"Expected an image of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {array.shape}.")
    if array.dtype == bool:
        return array.astype(numpy.uint8) * 255
    if array.dtype.kind == "f":
        return (_stretched(array) * 255 + 0.5).astype(numpy.uint8)
    if array.dtype.kind not in "iu":
        raise InvalidParameter(f"Expected pixels as integers in 0…255, floats in 0…1 or booleans; got {array.dtype}.")
    if array.size and not (array.min() >= 0 and array.max() <= 255):
        raise InvalidParameter(f"Expected pixels as integers in 0…255; got {array.dtype} from {array.min()} to {array.max()}.")
    return array.astype(numpy.uint8)


def _stretched(array: Any) -> Any:
    """Floats in 0…1: as they are, or stretched from the least to the greatest, with a warning. What is not finite is black."""
    import numpy

    finite = numpy.isfinite(array)
    if not finite.any():
        return numpy.zeros(array.shape)
    least, greatest = float(array[finite].min()), float(array[finite].max())
    if least < 0 or greatest > 1:
        logger.warning("Pixels from %g to %g are no floats in 0…1: the image is stretched to 0…1.", least, greatest)
        array = (array.astype(float) - least) / ((greatest - least) or 1)
    return numpy.where(finite, array, 0)


def encoded_image(picture: Any, suffix: str) -> bytes:
    """A pillow image as the content of a file with this suffix."""
    buffer = io.BytesIO()
    name = {"jpg": "jpeg", "tif": "tiff"}.get(suffix.lower(), suffix.lower())
    try:
        picture.save(buffer, format=name)
    except (KeyError, OSError) as error:
        raise InvalidParameter(
            f"Can not store a {picture.mode} image as .{suffix}: {error}. hint: .png stores every image."
        ) from None
    return buffer.getvalue()
