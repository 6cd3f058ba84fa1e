"""Pictures inside the page: found or drawn, and together small enough."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

WIDEST = 900  # pixels
_EPOCH = re.compile(r"(.+)_epoch_(\d+)")
_SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2)
_QUALITY = 82


@dataclass(frozen=True)
class Picture:
    """A picture to embed.

    Attributes:
        image: RGB.
        caption: what it shows, below it.
        alt: for those who do not see it.
    """

    image: Image.Image
    caption: str
    alt: str


@dataclass(frozen=True)
class Embedded:
    """A picture as a page holds it.

    Attributes:
        uri: data:image/jpeg;base64,...
        width, height: pixels.
        caption, alt: as in Picture.
    """

    uri: str
    width: int
    height: int
    caption: str
    alt: str


def embed(pictures: Sequence[Picture], *, most_bytes: int) -> list[Embedded]:
    """Encode all pictures, scaled down alike until they take no more than so many bytes together."""
    for scale in _SCALES:
        encoded = [_encoded(picture, scale) for picture in pictures]
        if sum(len(each.uri) for each in encoded) <= most_bytes:
            break
    return encoded


def found_pictures(folder: Path) -> list[Picture]:
    """The first and the last of each kind of picture that a trainer draws as KIND_epoch_NUMBER.png."""
    kinds: dict[str, dict[int, Path]] = {}
    for path in folder.glob("*_epoch_*.png"):
        if named := _EPOCH.fullmatch(path.stem):
            kinds.setdefault(named[1], {})[int(named[2])] = path
    return [
        picture
        for kind, files in sorted(kinds.items())
        for epoch in dict.fromkeys((min(files), max(files)))
        if (picture := read_picture(files[epoch], f"{kind.replace('_', ' ')}, after epoch {epoch}")) is not None
    ]


def read_picture(path: Path, caption: str) -> Picture | None:
    """A picture file; None where it cannot be read, as while it is being written."""
    try:
        with Image.open(path) as image:
            caption = caption[:1].upper() + caption[1:]
            return Picture(image.convert("RGB"), caption, f"{caption}, as the trainer drew it")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow makes of damage
        return None


def _encoded(picture: Picture, scale: float) -> Embedded:
    image = picture.image
    width = max(1, round(min(WIDEST, image.width) * scale))
    if width < image.width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    with BytesIO() as buffer:
        image.save(buffer, format="JPEG", quality=_QUALITY, subsampling=0)  # colours of thin lines stay
        data = b64encode(buffer.getvalue()).decode("ascii")
    return Embedded(f"data:image/jpeg;base64,{data}", image.width, image.height, picture.caption, picture.alt)
