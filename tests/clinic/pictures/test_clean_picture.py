"""What goes in is a file from anywhere; what comes out is pixels and nothing else."""

import json
import struct
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from clinic.pictures.rules import (
    EMPTY,
    HEIF,
    LONGEST_EDGE,
    MAX_BYTES,
    MAX_PIXELS,
    NO_PHOTO,
    NOT_WHOLE,
    THUMBNAIL_EDGE,
    TOO_LARGE,
    TOO_MANY_PIXELS,
    PictureRefused,
    clean_picture,
)
from tests.factories.pictures import BLUE, RED, drawn, held, noisy, saved, talkative

SCRIPT = b"<script>alert(1)</script>"


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def near(pixel, wanted, by=12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(pixel, wanted, strict=True))


def refusal(data: bytes) -> str:
    with pytest.raises(PictureRefused) as refused:
        clean_picture(data, field="photo")
    assert refused.value.field == "photo"
    return refused.value.for_people


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG whose header claims many pixels, all of them there once decoded."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(bytes(width // 8 + 1) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def zipped() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    return out.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_photo_comes_out_as_a_jpeg_of_the_same_picture(format):
    found = clean_picture(saved(format=format))

    image = opened(found.image)
    assert (
        (image.format, image.mode, image.size)
        == ("JPEG", "RGB", (640, 480))
        == ("JPEG", "RGB", (found.width, found.height))
    )
    assert near(image.getpixel((20, 20)), RED)
    assert near(image.getpixel((620, 20)), BLUE)
    assert max(opened(found.thumbnail).size) == THUMBNAIL_EDGE


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_stands_upright_and_no_longer_says_it_is_turned(orientation):
    found = clean_picture(held(orientation))

    for each in (found.image, found.thumbnail):
        image = opened(each)
        assert image.width > image.height
        assert near(image.getpixel((10, 10)), RED)
        assert near(image.getpixel((image.width - 10, 10)), BLUE)
        assert dict(image.getexif()) == {}


def test_place_camera_and_comments_are_gone():
    given = opened(talkative())
    assert dict(given.getexif()), "the file in hand tells nothing: this test would prove nothing"

    found = clean_picture(talkative())

    for each in (found.image, found.thumbnail):
        image = opened(each)
        assert dict(image.getexif()) == {}
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        for secret in (b"Secretive", b"SN-12345", b"drawn at home", b"xmpmeta", b"Exif"):
            assert secret not in each


def test_a_script_behind_the_picture_does_not_come_along():
    polyglot = saved() + SCRIPT
    inside = saved(comment=b"*/" + SCRIPT)

    for each in (polyglot, inside, saved(format="PNG") + SCRIPT):
        found = clean_picture(each)
        assert b"script" not in found.image + found.thumbnail


def test_colours_of_a_wider_screen_are_turned_into_ours_not_paled():
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    for profile in (srgb, linear, b"no profile at all"):
        found = clean_picture(saved(icc_profile=profile))
        image = opened(found.image)
        assert "icc_profile" not in image.info
        assert near(image.getpixel((20, 20)), RED)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_every_usual_kind_of_pixels_is_read(mode):
    found = clean_picture(saved(drawn(mode=mode), "PNG"))

    assert opened(found.image).mode == "RGB"


def test_a_print_shops_jpeg_is_read():
    assert opened(clean_picture(saved(drawn(mode="CMYK"))).image).mode == "RGB"


def test_a_large_photo_is_kept_at_the_longest_edge_we_keep():
    found = clean_picture(saved(drawn(6000, 3000)))

    assert (found.width, found.height) == (LONGEST_EDGE, LONGEST_EDGE // 2) == opened(found.image).size


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("nothing", b"", EMPTY),
        ("gif", saved(drawn(mode="P"), "GIF"), NO_PHOTO),
        ("tiff", saved(format="TIFF"), NO_PHOTO),
        ("bmp", saved(format="BMP"), NO_PHOTO),
        ("ico", saved(drawn(64, 64), "ICO"), NO_PHOTO),
        ("svg", b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>", NO_PHOTO),
        ("html", b"<!doctype html>" + SCRIPT, NO_PHOTO),
        ("pdf", b"%PDF-1.7\n1 0 obj", NO_PHOTO),
        ("exe", b"MZ\x90\x00" + bytes(500), NO_PHOTO),
        ("zip", zipped(), NO_PHOTO),
        ("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NO_PHOTO),
        ("heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100), HEIF),
        ("jpeg cut off", saved(drawn(1600, 1200))[:9000], NOT_WHOLE),
        ("png cut off", saved(format="PNG")[:-60], NOT_WHOLE),
        ("webp cut off", saved(format="WEBP")[:300], NOT_WHOLE),
        ("noise after a jpeg's first bytes", noisy(5000), NOT_WHOLE),
        ("png of nothing", b"\x89PNG\r\n\x1a\n" + bytes(50), NOT_WHOLE),
        ("26 MB", noisy(26 * 1024 * 1024), TOO_LARGE),
        ("144 million pixels in 17 KB", png_claiming(12_000, 12_000), TOO_MANY_PIXELS),
        ("225 million pixels", png_claiming(15_000, 15_000), TOO_MANY_PIXELS),
    ],
    ids=lambda each: each if isinstance(each, str) and len(each) < 40 else "",
)
def test_anything_else_is_refused_with_what_to_do(name, data, says):
    assert refusal(data) == says


def test_just_within_the_limits_is_kept():
    assert len(saved(drawn(8000, 5000))) < MAX_BYTES
    assert MAX_PIXELS == 8000 * 5000

    assert clean_picture(saved(drawn(8000, 5000))).width == LONGEST_EDGE


MEASURE = """
import json, resource, sys, time
from clinic.pictures.rules import PictureRefused, clean_picture
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
try:
    clean_picture(sys.stdin.buffer.read())
    said = "taken"
except PictureRefused as refused:
    said = refused.for_people
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"said": said, "grew_mb": (after - before) / 1024}))
"""


def webp_claiming_everything() -> bytes:
    """A WebP of the largest size its header can name: 16383 x 16383, empty."""
    width = height = 16_383
    bits = (width - 1) | ((height - 1) << 14)
    body = b"\x2f" + struct.pack("<I", bits) + bytes(40)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "bomb", [png_claiming(12_000, 12_000), png_claiming(15_000, 15_000), webp_claiming_everything()]
)
def test_a_bomb_is_refused_before_it_takes_memory(bomb):
    ran = subprocess.run([sys.executable, "-c", MEASURE], input=bomb, capture_output=True, check=True, timeout=200)

    found = json.loads(ran.stdout)
    assert found["said"] != "taken"
    assert found["grew_mb"] < 50
