"""Signing in: who gets in, who does not, and what a second factor opens."""

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.test import Client
from django.urls import reverse

from clinic.staff.states import Role
from tests.factories.people import PASSWORD, make_location, make_user

pytestmark = pytest.mark.django_db
SIGN_IN = "/accounts/login/"


@pytest.fixture
def place():
    return make_location()


@pytest.fixture
def desk(place):
    return make_user("Dora Diaz", Role.FRONT_DESK, location=place)


@pytest.fixture
def clinician(place):
    return make_user("Bo Lindqvist", Role.CLINICIAN, location=place)


@pytest.fixture(autouse=True)
def _the_code_does_not_change_while_it_is_typed(monkeypatch):
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: [60_000_000])


@pytest.fixture
def mfa_compulsory(settings):
    settings.MFA_COMPULSORY = True


def sign_in(client, email, password=PASSWORD, **more):
    return client.post(SIGN_IN, {"login": email, "password": password, **more})


def signed_in(client):
    return "_auth_user_id" in client.session


def code_of(secret):
    (counter,) = totp.yield_hotp_counters_from_time()
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def test_the_right_password_opens_today(client, desk):
    answer = sign_in(client, "Dora.Diaz@clinic.example")

    assert (answer.status_code, answer["Location"]) == (302, "/today/")
    assert signed_in(client)


def test_after_signing_in_the_person_is_where_they_were_going(client, desk):
    answer = client.get(reverse("tasks"))
    assert answer["Location"] == f"{SIGN_IN}?next={reverse('tasks')}"

    answer = sign_in(client, desk.email, next=reverse("tasks"))
    assert answer["Location"] == reverse("tasks")


def test_nobody_is_sent_to_another_site(client, desk):
    answer = sign_in(client, desk.email, next="https://evil.example/")

    assert answer["Location"] == "/today/"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("dora.diaz@clinic.example", "not-the-password"),
        ("nobody@clinic.example", PASSWORD),
        ("dora.diaz@clinic.example", ""),
        ("", PASSWORD),
        ("' OR 1=1 --", "' OR 1=1 --"),
    ],
)
def test_a_wrong_password_and_an_unknown_address_stay_outside(client, desk, email, password):
    answer = sign_in(client, email, password)

    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert not signed_in(client)


def test_a_wrong_password_and_an_unknown_address_read_the_same(client, desk):
    wrong = sign_in(client, desk.email, "not-the-password").context["form"].errors
    unknown = sign_in(client, "nobody@clinic.example", "not-the-password").context["form"].errors

    assert wrong == unknown


def test_someone_who_left_cannot_sign_in_and_is_out_at_the_next_request(client, desk):
    sign_in(client, desk.email)
    desk.is_active = False
    desk.save(update_fields=["is_active"])

    assert client.get(reverse("tasks"))["Location"].startswith(SIGN_IN)
    newcomer = Client()
    sign_in(newcomer, desk.email)
    assert not signed_in(newcomer)


def test_guessing_is_slowed_down(client, desk):
    for _ in range(6):
        answer = sign_in(client, desk.email, "not-the-password")

    assert "Too many failed login attempts" in str(answer.context["form"].errors)
    assert sign_in(client, desk.email).status_code != 302


@pytest.mark.parametrize("name", ["account_signup", "account_email", "account_inactive"])
def test_nobody_makes_an_account_or_changes_its_address_by_themselves(client, desk, name):
    client.force_login(desk)

    assert client.get(reverse(name)).status_code == 403
    assert client.post(reverse(name), {"email": "new@clinic.example"}).status_code == 403


def test_signing_out_needs_a_post(client, desk):
    client.force_login(desk)

    client.get(reverse("account_logout"))
    assert signed_in(client)
    client.post(reverse("account_logout"))
    assert not signed_in(client)


def test_a_forgotten_password_is_reset_by_a_letter(client, desk):
    client.post(reverse("account_reset_password"), {"email": desk.email})
    letter = mail.outbox[0]
    path = next(word for word in letter.body.split() if "/password/reset/key/" in word)
    path = path[path.index("/accounts/") :]

    page = client.get(path, follow=True)
    answer = client.post(
        page.redirect_chain[-1][0], {"password1": "quite-another-passphrase", "password2": "quite-another-passphrase"}
    )

    assert letter.to == [desk.email]
    assert answer.status_code == 302
    assert sign_in(client, desk.email, "quite-another-passphrase").status_code == 302
    assert signed_in(client)


def test_asking_for_an_unknown_address_looks_the_same_and_writes_to_nobody(client, desk):
    known = client.post(reverse("account_reset_password"), {"email": desk.email})
    mail.outbox.clear()
    unknown = client.post(reverse("account_reset_password"), {"email": "stranger@mail.example"})

    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert mail.outbox == []


def test_a_clinician_without_second_factor_sees_nothing_else_until_there_is_one(client, clinician, mfa_compulsory):
    sign_in(client, clinician.email)
    answer = client.get(reverse("tasks"))
    assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_index"))
    assert "Please add a second factor" in client.get(reverse("mfa_index")).content.decode()
    fragment = client.get(reverse("alarm_banner"), headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.content) == (204, b"")  # not a whole page inside a page

    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
    client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})

    assert client.get(reverse("tasks")).status_code == 200


def test_the_desk_needs_no_second_factor(client, desk, mfa_compulsory):
    sign_in(client, desk.email)

    assert client.get(reverse("tasks")).status_code == 200


def test_with_a_second_factor_the_password_alone_opens_nothing(client, clinician):
    totp.TOTP.activate(clinician, totp.generate_totp_secret())

    answer = sign_in(client, clinician.email)
    assert answer["Location"].startswith(reverse("mfa_authenticate"))
    assert client.get(reverse("tasks"))["Location"].startswith(SIGN_IN)

    wrong = client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert wrong.status_code == 200
    assert not signed_in(client)


def test_a_code_opens_once(client, clinician):
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(clinician, secret)
    code = code_of(secret)
    sign_in(client, clinician.email)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert signed_in(client)

    client.post(reverse("account_logout"))
    sign_in(client, clinician.email)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert not signed_in(client)


def test_a_recovery_code_opens_once(client, clinician):
    totp.TOTP.activate(clinician, totp.generate_totp_secret())
    code = RecoveryCodes.activate(clinician).get_unused_codes()[0]
    sign_in(client, clinician.email)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert signed_in(client)

    client.post(reverse("account_logout"))
    sign_in(client, clinician.email)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert not signed_in(client)


def test_the_admin_is_behind_the_same_door(client, place, desk, mfa_compulsory):
    assert client.get("/admin/")["Location"].startswith("/admin/login/")
    assert client.get("/admin/login/?next=/admin/")["Location"].startswith(SIGN_IN)

    client.force_login(desk)
    assert client.get("/admin/login/?next=/admin/").status_code == 403

    keeper = make_user("Kai Meyer", location=place, is_staff=True, is_superuser=True)
    client.force_login(keeper)
    assert client.get("/admin/")["Location"] == reverse("mfa_index")
    totp.TOTP.activate(keeper, totp.generate_totp_secret())
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "account_login",
        "account_reset_password",
        "account_reset_password_done",
        "account_logout",
        "account_reauthenticate",
        "account_change_password",
        "mfa_index",
        "mfa_activate_totp",
        "mfa_list_webauthn",
        "mfa_add_webauthn",
    ],
)
def test_the_pages_of_signing_in_wear_our_frame(client, clinician, name):
    if name != "account_login":
        client.force_login(clinician)
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})

    page = client.get(reverse(name)).content.decode()

    assert "css/afterglow.css" in page
    assert "Menu:" not in page
    assert " style=" not in page
