"""Pictures to start a test from, drawn here: a red and a blue corner show which way is up."""

import random
from io import BytesIO

from PIL import Image, ImageDraw

ORIENTATION, GPS, MAKE, SERIAL, WHEN = 0x0112, 0x8825, 0x010F, 0xA431, 0x0132
RED, BLUE, GREY = (200, 30, 30), (30, 30, 200), (190, 170, 160)
# What the camera's sensor saw when it was held so that the stored picture needs this EXIF orientation to be upright.
_HELD = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}


def drawn(width=640, height=480, mode="RGB") -> Image.Image:
    """Grey, with a red corner at the top left and a blue one at the top right."""
    image = Image.new("RGB", (width, height), GREY)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width // 4, height // 4), fill=RED)
    pen.rectangle((width - width // 4, 0, width, height // 4), fill=BLUE)
    return image.convert(mode)


def saved(image=None, format="JPEG", **options) -> bytes:
    out = BytesIO()
    (image or drawn()).save(out, format, **options)
    return out.getvalue()


def held(orientation: int) -> bytes:
    """A JPEG as a phone stores it when held this way: turned pixels and a tag that says so."""
    image = drawn()
    for turn in _HELD[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image, exif=exif)


def talkative() -> bytes:
    """A JPEG that tells where, when and by which camera it was taken, with a comment and a description in XML."""
    exif = Image.Exif()
    exif[MAKE], exif[WHEN] = "Secretive Cameras", "2026:11:23 10:00:00"
    exif.get_ifd(0x8769)[SERIAL] = "SN-12345"
    place = exif.get_ifd(GPS)
    place[1], place[2], place[3], place[4] = "N", (51.0, 31.0, 12.0), "W", (0.0, 8.0, 50.0)
    return saved(exif=exif, comment=b"drawn at home", xmp=b"<x:xmpmeta><secret/></x:xmpmeta>", dpi=(300, 300))


def noisy(size: int) -> bytes:
    """Bytes that begin like a JPEG and go on at random."""
    return b"\xff\xd8\xff\xe0" + random.Random(size).randbytes(size - 4)
