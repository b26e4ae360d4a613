"""Turning an uploaded picture into one of our own: decoded, upright, encoded anew from its pixels. Pure.

Whatever else a file carried (place, camera, previews, scripts behind the picture) is gone, because only pixels go on.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageCms, UnidentifiedImageError

from clinic.audit.states import Refused

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 25 * 1024 * 1024
MAX_PIXELS = 40_000_000  # a picture of 17 KB can claim 144 million: checked before anything is decoded
LONGEST_EDGE = 4096
THUMBNAIL_EDGE = 480
QUALITY, THUMBNAIL_QUALITY = 90, 80
# Decoding takes 4 bytes a pixel: however many send at once, only two pictures of a process are open at a time.
_AT_ONCE = threading.BoundedSemaphore(2)

_ORIENTATION = 0x0112  # the EXIF tag; its values and what sets each upright
_UPRIGHT: dict[int, tuple[Image.Transpose, ...]] = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_READABLE = {"1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif"}
_SRGB = ImageCms.createProfile("sRGB")
_MAX_PROFILE = 1024 * 1024

TOO_LARGE = "This file is larger than 25 MB. Please send a smaller one, or take the photo again."
EMPTY = "This file is empty. Please choose the photo again."
NOT_WHOLE = "This photo did not arrive whole, or is damaged. Please send it again."
TOO_MANY_PIXELS = "This picture has more than 40 million pixels. Please send a smaller one."
HEIF = (
    "This photo is in the HEIC format, which we can’t read. Please take it with the button here, or set the phone to "
    "“Most Compatible” under Settings, Camera, Formats."
)
NO_PHOTO = "This is not a photo we can read. Please send a JPEG, PNG or WebP."


class PictureRefused(Refused):
    """The file is no picture that we keep; the sentence says what to send instead."""

    sentence = NO_PHOTO


@dataclass(frozen=True)
class Picture:
    """A JPEG with nothing but pixels in it, and a small one for lists."""

    image: bytes
    thumbnail: bytes
    width: int
    height: int


def clean_picture(data: bytes, *, field: str | None = None) -> Picture:
    """Return the picture upright, in sRGB, at most LONGEST_EDGE on its longer side, without any metadata.

    Raises PictureRefused, naming `field`, for anything but a whole JPEG, PNG or WebP within the limits.
    """
    if not data:
        raise PictureRefused(EMPTY, field=field)
    if len(data) > MAX_BYTES:
        raise PictureRefused(TOO_LARGE, field=field)
    with _AT_ONCE:
        image = _decoded(data, field)
    small = image.copy()
    small.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE), Image.Resampling.LANCZOS)
    return Picture(_encoded(image, QUALITY), _encoded(small, THUMBNAIL_QUALITY), image.width, image.height)


def _decoded(data: bytes, field: str | None) -> Image.Image:
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise PictureRefused(TOO_MANY_PIXELS, field=field)
        if image.mode not in _READABLE:
            raise PictureRefused(NO_PHOTO, field=field)
        orientation = image.getexif().get(_ORIENTATION)
        profile = image.info.get("icc_profile")
        image.draft("RGB", (LONGEST_EDGE, LONGEST_EDGE))
        image.load()
        pixels = image if image.mode in {"RGB", "L", "CMYK"} else image.convert("RGB")
        pixels.thumbnail((LONGEST_EDGE, LONGEST_EDGE), Image.Resampling.LANCZOS)
        pixels = _in_srgb(pixels, profile)
        for turn in _UPRIGHT.get(orientation, ()) if isinstance(orientation, int) else ():
            pixels = pixels.transpose(turn)
    except PictureRefused:
        raise
    except UnidentifiedImageError:
        raise PictureRefused(_what_it_is(data), field=field) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureRefused(TOO_MANY_PIXELS, field=field) from None
    except Exception:  # a parser meets hostile bytes in many ways, and each means the same to whoever sent them
        raise PictureRefused(NOT_WHOLE, field=field) from None
    pixels.info = {}  # an encoder copies comments from here
    return pixels


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Return the picture in the colours every screen knows: dropping a wide profile unread would pale the reds."""
    if isinstance(profile, bytes) and 0 < len(profile) <= _MAX_PROFILE:
        try:
            turned = ImageCms.profileToProfile(image, BytesIO(profile), _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            turned = None  # a broken profile says nothing; the numbers are taken as they are
        if turned is not None:
            return turned
    return image.convert("RGB")


def _encoded(image: Image.Image, quality: int) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def _what_it_is(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return HEIF
    starts = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
    return NOT_WHOLE if data.startswith(starts) else NO_PHOTO
