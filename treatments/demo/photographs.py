"""Drawn faces for the demo: plainly artificial, so that nobody takes one for a person's."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from io import BytesIO

from PIL import Image, ImageDraw, ImageFilter

from clinic.audit.states import Actor
from clinic.catalogue.models import BodyArea
from patients.consent.actions import sign_consent
from patients.photos.actions import add_photo, ask_for_photos
from patients.photos.states import Angle, Source
from patients.registry.models import Patient

SIZE = (750, 1000)
SKINS = ((246, 219, 200), (236, 200, 174), (212, 168, 136), (164, 117, 86), (120, 82, 60))
HAIRS = ((60, 44, 36), (110, 78, 50), (170, 140, 96), (40, 40, 46), (150, 150, 154))
# How far features are turned to the side, as a part of the face's width.
TURNED = {
    Angle.FRONTAL: 0.0,
    Angle.OBLIQUE_RIGHT: 0.16,
    Angle.OBLIQUE_LEFT: -0.16,
    Angle.PROFILE_RIGHT: 0.3,
    Angle.PROFILE_LEFT: -0.3,
}
NOTE = "Drawn for the demo. Not a person."


def draw_face(*, who: int, angle: Angle, redness: float) -> bytes:
    """Return a drawn face as a JPEG; the same `who` is the same face, `redness` goes from 0 to 1."""
    dice = random.Random(who)  # noqa: S311 - a drawing needs no secrecy
    skin, hair = dice.choice(SKINS), dice.choice(HAIRS)
    image = Image.new("RGB", SIZE, (222, 226, 224))
    pen = ImageDraw.Draw(image)
    pen.ellipse((130, 100, 620, 720), fill=hair)
    pen.rounded_rectangle((300, 640, 450, 900), 60, fill=_shade(skin, -18))
    pen.rounded_rectangle((90, 840, 660, 1200), 130, fill=(96, 128, 120))
    pen.ellipse((175, 150, 575, 760), fill=skin)
    shift = int(400 * TURNED.get(angle, 0.0))
    image = _flush(image, dice, redness, shift)
    _features(ImageDraw.Draw(image), 375 + shift, skin)
    if angle == Angle.CLOSE_UP:
        image = image.crop((180, 380, 480, 780)).resize(SIZE, Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, SIZE[1] - 56, *SIZE), fill=(40, 60, 56))
    pen.text((24, SIZE[1] - 42), NOTE, fill=(250, 250, 250), font_size=24)
    out = BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()


def _shade(colour: tuple[int, ...], by: int) -> tuple[int, ...]:
    return tuple(max(0, min(255, part + by)) for part in colour)


def _flush(image: Image.Image, dice: random.Random, redness: float, shift: int) -> Image.Image:
    """Redden cheeks, nose and chin, and set a few marks, the more the redder."""
    mask = Image.new("L", SIZE, 0)
    pen = ImageDraw.Draw(mask)
    strength = int(30 + 90 * redness)
    for left, top in ((205, 420), (425, 420), (315, 430), (315, 640)):
        left += shift // 2
        pen.ellipse((left, top, left + 125, top + 110), fill=strength)
    for _ in range(int(14 + 60 * redness)):
        x, y = dice.randrange(215, 535), dice.randrange(300, 690)
        pen.ellipse((x, y, x + dice.randrange(5, 13), y + dice.randrange(5, 13)), fill=min(255, strength + 60))
    red = Image.new("RGB", SIZE, (190, 60, 56))
    return Image.composite(red, image, mask.filter(ImageFilter.GaussianBlur(16)))


def _features(pen: ImageDraw.ImageDraw, middle: int, skin: tuple[int, ...]) -> None:
    dark = _shade(skin, -90)
    for side in (-1, 1):
        x = middle + side * 95
        pen.ellipse((x - 38, 372, x + 38, 406), fill=(250, 250, 248))
        pen.ellipse((x - 15, 374, x + 15, 404), fill=(70, 60, 52))
        pen.arc((x - 55, 326, x + 55, 380), 200, 340, fill=dark, width=9)
    pen.line((middle, 420, middle - 22, 530, middle + 18, 536), fill=_shade(skin, -45), width=6, joint="curve")
    pen.ellipse((middle - 62, 604, middle + 62, 638), fill=(168, 84, 80))
    pen.line((middle - 62, 620, middle + 62, 620), fill=_shade(skin, -110), width=4)


def send_photos(patient: Patient, *, who: int, at: datetime) -> None:
    """The patient has sent two photos after the answers."""
    for angle in (Angle.FRONTAL, Angle.CLOSE_UP):
        _add(patient, who, angle, 0.15, Source.PATIENT, Actor.patient(patient.ref, patient.full_name), at)


def take_photos(patient: Patient, days: list[tuple[datetime, float]], *, who: int, by: Actor) -> None:
    """The patient agreed to photos for the record, and the clinic took the same views on each of these days."""
    me = Actor.patient(patient.ref, patient.full_name)
    asked_at = days[0][0] - timedelta(hours=2)
    asked = ask_for_photos(patient=patient, by=by, at=asked_at)
    sign_consent(
        consent=asked,
        risks_ticked=[risk["key"] for risk in asked.wording.body["risks"]],
        questions="",
        signed_name=patient.full_name,
        signed_as="patient",
        signature=None,
        by=me,
        at=asked_at + timedelta(minutes=20),
    )
    for at, redness in days:
        for angle in (Angle.FRONTAL, Angle.OBLIQUE_LEFT, Angle.OBLIQUE_RIGHT):
            _add(patient, who, angle, redness, Source.STAFF, by, at)


def _add(patient: Patient, who: int, angle: Angle, redness: float, source: Source, by: Actor, at: datetime) -> None:
    add_photo(
        patient=patient,
        data=draw_face(who=who, angle=angle, redness=redness),
        area=BodyArea.objects.get(key="full_face"),
        angle=angle,
        taken_on=at.astimezone(patient.location.zone).date(),
        source=source,
        by=by,
        at=at,
    )
