"""The pages around photos: who gets a picture, what a form refuses, and what the patient sees."""

import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.pictures.rules import EMPTY, HEIF, NO_PHOTO, TOO_LARGE
from clinic.staff.states import Role
from patients.candidacy.actions import submit_intake
from patients.photos.actions import add_photo, strike_photo
from patients.photos.models import Photo
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from tests.factories.people import NOW, actor, make_clinician, make_location, make_patient, make_user
from tests.factories.pictures import drawn, noisy, saved
from tests.factories.screenings import answer_intake

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_a_monday_at_ten")]
PICTURES = ["photo_image", "photo_thumbnail"]


@pytest.fixture
def photo(ana, face):
    by = Actor.patient(ana.ref, ana.full_name)
    return add_photo(
        patient=ana, data=saved(), area=face, angle="frontal", taken_on=NOW.date(), source="patient", by=by, at=NOW
    )


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def hidden(page, name):
    return re.search(rf'name="{name}" value="([^"]+)"', page.content.decode()).group(1)


def given(page, data=None, name="photo.jpg", **more):
    """What a browser sends from the form on the page."""
    file = SimpleUploadedFile(name, saved() if data is None else data, content_type="image/jpeg")
    facts = {"area": "full_face", "angle": "frontal", "taken_on": timezone.localdate().isoformat()}
    return {"whose": hidden(page, "whose"), "form_key": hidden(page, "form_key"), **facts, "photo": file, **more}


# --- the pictures themselves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PICTURES)
def test_a_clinician_gets_the_picture_and_nobody_on_the_way_keeps_it(bo, photo, name):
    answer = signed_in(bo).get(reverse(name, args=[photo.ref]))

    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert answer.content.startswith(b"\xff\xd8\xff")
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == 'inline; filename="photo.jpg"'
    assert "default-src 'none'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("name", PICTURES)
def test_each_look_is_in_the_trail(bo, photo, ana, name):
    signed_in(bo).get(reverse(name, args=[photo.ref]))

    event = AuditEvent.objects.get(action="photo.viewed")
    assert (event.actor_name, event.patient_ref, event.subject_id) == (bo.name, ana.ref, str(photo.ref))


@pytest.mark.parametrize("name", [*PICTURES, "photo"])
@pytest.mark.parametrize("role", [Role.FRONT_DESK, Role.MANAGER])
def test_who_may_not_read_charts_sees_no_photo(location, photo, role, name):
    answer = signed_in(make_user("Dee Desk", role, location=location)).get(reverse(name, args=[photo.ref]))

    assert answer.status_code == 403
    assert AuditEvent.objects.filter(action="access.refused", subject_id=name).count() == 1


@pytest.mark.parametrize("name", [*PICTURES, "photo"])
def test_a_clinician_of_another_clinic_finds_no_photo(photo, name):
    stranger = make_clinician("Luz Lisboa", make_location("Lisbon", "Europe/Lisbon"))

    assert signed_in(stranger).get(reverse(name, args=[photo.ref])).status_code == 404


@pytest.mark.parametrize("name", [*PICTURES, "photo"])
def test_a_visitor_is_sent_to_sign_in(photo, name):
    assert Client().get(reverse(name, args=[photo.ref])).status_code == 302


@pytest.mark.parametrize("name", [*PICTURES, "photo"])
def test_a_struck_photo_is_not_shown(bo, photo, name):
    strike_photo(photo=photo, reason="Another patient.", by=actor(bo), at=NOW)

    assert signed_in(bo).get(reverse(name, args=[photo.ref])).status_code == 404


def test_an_altered_file_is_not_shown(bo, photo, settings):
    (settings.MEDIA_ROOT / photo.file).write_bytes(saved(drawn(50, 50)))

    answer = signed_in(bo).get(reverse("photo_image", args=[photo.ref]))

    assert answer.status_code == 410
    assert b"\xff\xd8" not in answer.content


def test_the_folder_itself_has_no_address(bo, photo):
    client = signed_in(bo)

    for path in (f"/media/{photo.file}", f"/{photo.file}", f"/static/{photo.file}", "/photos/"):
        assert client.get(path).status_code == 404


# --- the clinic's pages -----------------------------------------------------------------------------------------------


def test_a_clinician_adds_a_photo(bo, ana, agreed):
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])

    answer = client.post(url, given(client.get(url)))

    photo = Photo.objects.get()
    assert answer["Location"] == reverse("photos", args=[ana.ref])
    assert (photo.patient, photo.consent, photo.source, photo.angle) == (ana, agreed, "staff", "frontal")


def test_without_consent_there_is_no_form_and_one_button_asks_for_it(bo, ana):
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])

    page = client.get(url).content.decode()
    client.post(reverse("photo_consent_ask", args=[ana.ref]))

    assert "has not agreed to photos" in page
    assert 'type="file"' not in page
    assert ana.consents.get().status == "proposed"
    assert "not signed yet" in client.get(url).content.decode()


def test_consent_withdrawn_while_the_form_was_open_keeps_what_was_typed(bo, ana, agreed):
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])
    page = client.get(url)
    client.post(reverse("consent_revoke", args=[agreed.ref]), {"reason": "By telephone."})

    answer = client.post(url, given(page))

    assert answer.status_code == 422
    assert Photo.objects.count() == 0
    assert "has not agreed" in answer.content.decode()


def test_a_form_opened_for_another_patient_is_refused(bo, ana, agreed, location):
    eli = make_patient(location, "Eli")
    client = signed_in(bo)
    of_eli = given(client.get(reverse("photo_add", args=[ana.ref])))
    of_eli["whose"] = hidden(client.get(reverse("photo_add", args=[ana.ref])), "whose").replace(
        str(ana.ref), str(eli.ref)
    )
    forged = client.post(reverse("photo_add", args=[eli.ref]), of_eli)
    stale = client.post(reverse("photo_add", args=[eli.ref]), given(client.get(reverse("photo_add", args=[ana.ref]))))

    for answer in (forged, stale):
        assert answer.status_code == 422
    assert Photo.objects.count() == 0


def test_a_stale_tab_says_whose_page_it_is(bo, ana, agreed, location):
    """Both patients agreed, so only the form's own token stands in the way."""
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])
    sent = given(client.get(url))
    sent["whose"] = "somebody else:signature"

    answer = client.post(url, sent)

    assert answer.status_code == 422
    assert "opened for another patient" in answer.content.decode()
    assert Photo.objects.count() == 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", EMPTY),
        (saved(drawn(mode="P"), "GIF"), NO_PHOTO),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', NO_PHOTO),
        (b"\x00\x00\x00\x18ftypheic" + bytes(200), HEIF),
        (noisy(26 * 1024 * 1024), TOO_LARGE),
    ],
    ids=["empty", "gif", "svg", "heic", "26 MB"],
)
def test_a_file_that_cannot_be_kept_is_refused_at_its_field_and_the_rest_stays(bo, ana, agreed, data, says, files):
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])

    answer = client.post(url, given(client.get(url), data, angle="profile_left"))

    text = answer.content.decode()
    assert answer.status_code == 422
    assert says in text
    assert re.search(r'value="profile_left"[^>]*checked', text)
    assert (Photo.objects.count(), files()) == (0, [])


def test_no_file_at_all_is_said_kindly(bo, ana, agreed):
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])
    sent = given(client.get(url))
    del sent["photo"]

    assert "Please choose a photo." in client.post(url, sent).content.decode()


def test_an_upload_cut_off_on_its_way_leaves_nothing(bo, ana, agreed, files):
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])
    page = client.get(url)
    whole = (
        "--x\r\nContent-Disposition: form-data; name=\"whose\"\r\n\r\n" + hidden(page, "whose") + "\r\n"
        "--x\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n"
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode() + saved()[:4000]  # fmt: skip

    answer = client.post(url, whole, content_type="multipart/form-data; boundary=x")

    assert answer.status_code == 422
    assert (Photo.objects.count(), files()) == (0, [])


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a\r\nSet-Cookie: x=1",
        "\u202egpj.exe",
        "x" * 300 + ".jpg",
        "🌞.jpg",
        "con",
        "a.jpg\x00.html",
    ],
)
def test_whatever_a_file_is_called_its_name_is_ours(bo, ana, agreed, name, files):
    client, url = signed_in(bo), reverse("photo_add", args=[ana.ref])

    client.post(url, given(client.get(url), name=name))

    photo = Photo.objects.get()
    assert files() == [f"{photo.ref.hex}.jpg", f"{photo.ref.hex}.small.jpg"]
    assert client.get(reverse("photo_image", args=[photo.ref]))["Content-Disposition"] == 'inline; filename="photo.jpg"'


def test_two_photos_of_one_view_stand_side_by_side_the_older_first(bo, photo, ana, face):
    later = add_photo(
        patient=ana, data=saved(), area=face, angle="frontal", taken_on=NOW.date() + timedelta(days=28),
        source="patient", by=Actor.patient(ana.ref, ana.full_name), at=NOW + timedelta(days=28),
    )  # fmt: skip

    page = signed_in(bo).get(reverse("photo", args=[later.ref]), {"beside": photo.ref}).content.decode()

    shown = re.findall(r'src="(/photos/[^"]+/image/)"', page)
    assert shown == [reverse("photo_image", args=[each.ref]) for each in (photo, later)]


@pytest.mark.parametrize("beside", ["nonsense", "00000000-0000-4000-8000-000000000000", "' OR 1=1"])
def test_beside_what_is_not_of_this_patient_stands_nothing(bo, photo, beside):
    page = signed_in(bo).get(reverse("photo", args=[photo.ref]), {"beside": beside})

    assert page.status_code == 200
    assert page.context["pair"] == []


def test_striking_without_a_reason_is_refused_at_the_field(bo, photo):
    client, url = signed_in(bo), reverse("photo_strike", args=[photo.ref])

    refused = client.post(url, {"reason": " "})
    done = client.post(url, {"reason": "Another patient."})

    assert (refused.status_code, done.status_code) == (422, 302)
    assert Photo.objects.get().ended_reason == "Another patient."
    assert "Another patient." in client.get(done["Location"]).content.decode()


def test_the_desk_sees_that_photos_came_and_none_of_them(location, ana, photo):
    page = signed_in(make_user("Dee Desk", Role.FRONT_DESK, location=location)).get(
        reverse("patient_chart", args=[ana.ref])
    )

    text = page.content.decode()
    assert "Received. Clinicians can see them." in text
    assert "thumbnail" not in text


def test_the_chart_shows_a_clinician_the_photos(bo, ana, photo):
    page = signed_in(bo).get(reverse("patient_chart", args=[ana.ref])).content.decode()

    assert reverse("photo_thumbnail", args=[photo.ref]) in page


# --- the patient's page -----------------------------------------------------------------------------------------------


@pytest.fixture
def link(ana, location):
    response = answer_intake(ana, treatment_areas=["cheeks"])
    submit_intake(response=response, by=Actor.patient(ana.ref, ana.full_name), at=NOW)
    return issue_link(patient=ana, scope="intake", about=f"response:{response.ref}", by=actor_of(ana), at=NOW)[0]


def actor_of(patient):
    return Actor.patient(patient.ref, patient.full_name)


@pytest.fixture
def phone(link):
    client, now = Client(), int(timezone.now().timestamp())
    session = client.session
    session[KEY] = {str(link.ref): {"opened": now, "used": now}}
    session.save()
    client.cookies["sessionid"] = session.session_key
    return client


def test_after_the_answers_the_patient_may_send_photos_and_is_told_who_sees_them(phone, link):
    done = phone.get(reverse("intake_done", args=[link.ref])).content.decode()
    page = phone.get(reverse("my_photos", args=[link.ref])).content.decode()

    assert reverse("my_photos", args=[link.ref]) in done
    assert "Only the clinicians who look after you" in page
    assert re.search(r'value="cheeks"[^>]*selected', page), "the area named in the answers is chosen already"


def test_before_the_answers_are_sent_there_is_no_page_for_photos(ana, location):
    response = answer_intake(ana)
    link = issue_link(patient=ana, scope="intake", about=f"response:{response.ref}", by=actor_of(ana), at=NOW)[0]
    client, now = Client(), int(timezone.now().timestamp())
    session = client.session
    session[KEY] = {str(link.ref): {"opened": now, "used": now}}
    session.save()
    client.cookies["sessionid"] = session.session_key

    answer = client.get(reverse("my_photos", args=[link.ref]))

    assert answer["Location"] == reverse("intake", args=[link.ref])


def test_a_sent_photo_is_with_us_and_can_be_removed_until_somebody_looked(phone, link, ana, bo):
    url = reverse("my_photos", args=[link.ref])
    phone.post(url, given(phone.get(url)))
    photo = Photo.objects.get()
    remove = reverse("my_photo_remove", args=[link.ref, photo.ref])

    before = phone.get(url).content.decode()
    picture = phone.get(reverse("my_photo", args=[link.ref, photo.ref]))
    signed_in(bo).get(reverse("photo_thumbnail", args=[photo.ref]))
    after = phone.get(url).content.decode()
    late = phone.post(remove, follow=True).content.decode()

    assert (photo.patient, photo.source, photo.taken_on) == (ana, "patient", timezone.localdate())
    assert remove in before
    assert picture["Content-Type"] == "image/jpeg"
    assert remove not in after
    assert "has looked at it" in after
    assert "has looked at this photo already" in late
    assert Photo.objects.kept().count() == 1


def test_a_removed_photo_is_gone_for_everybody(phone, link, bo, django_capture_on_commit_callbacks, files):
    url = reverse("my_photos", args=[link.ref])
    phone.post(url, given(phone.get(url)))
    photo = Photo.objects.get()

    with django_capture_on_commit_callbacks(execute=True):
        phone.post(reverse("my_photo_remove", args=[link.ref, photo.ref]))

    assert files() == []
    assert phone.get(reverse("my_photo", args=[link.ref, photo.ref])).status_code == 404
    assert signed_in(bo).get(reverse("photo_image", args=[photo.ref])).status_code == 404


def test_a_patient_sees_neither_the_clinics_photos_nor_anybody_elses(phone, link, ana, bo, agreed, face, location):
    eli = make_patient(location, "Eli")
    clinics = add_photo(
        patient=ana, data=saved(), area=face, angle="frontal", taken_on=NOW.date(), source="staff", by=actor(bo), at=NOW
    )
    others = add_photo(
        patient=eli, data=saved(), area=face, angle="frontal", taken_on=NOW.date(), source="patient",
        by=actor_of(eli), at=NOW,
    )  # fmt: skip

    for photo in (clinics, others):
        assert phone.get(reverse("my_photo", args=[link.ref, photo.ref])).status_code == 404
        assert phone.post(reverse("my_photo_remove", args=[link.ref, photo.ref])).status_code == 404
    assert str(clinics.ref) not in phone.get(reverse("my_photos", args=[link.ref])).content.decode()
    assert Photo.objects.kept().count() == 2


def test_the_pages_policy_needs_no_exception_for_the_preview(phone, link):
    policy = phone.get(reverse("my_photos", args=[link.ref]))["Content-Security-Policy"]

    assert "blob:" not in policy
    assert "unsafe" not in policy
