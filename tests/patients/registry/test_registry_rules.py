from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patients.registry.rules import (
    NAME_LIMIT,
    BirthDateRefused,
    EmailRefused,
    NameRefused,
    PhoneRefused,
    age_on,
    calling_code,
    check_born_on,
    clean_email,
    clean_name,
    clean_phone,
    date_from_boxes,
    names_alike,
    read_date,
    search_key,
    search_texts,
)

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("  Ana \n María ", "Ana María"),
        ("X", "X"),
        ("🙂", "🙂"),
        ("李", "李"),
        ("O’Brien-Núñez", "O’Brien-Núñez"),
        ("e\u0301va", "éva"),
        ("می‌خواهم", "می‌خواهم"),
        ("\u202eanA", "anA"),
        ("Ana\x00\x07", "Ana"),
        ("A" * 200, "A" * 200),
    ],
)
def test_names_of_every_kind_are_kept(raw, kept):
    assert clean_name(raw, field="family_name") == kept


@pytest.mark.parametrize("raw", ["", "   ", "\t\n", "\u200b\u200d", "\u00a0", "\x00", "\u0301"])
def test_a_name_nobody_can_see_is_no_name(raw):
    with pytest.raises(NameRefused) as refused:
        clean_name(raw, field="family_name")

    assert refused.value.field == "family_name"
    assert clean_name(raw, field="given_name", required=False) == ""


@pytest.mark.parametrize("length", [201, 399, 401, 10_000])
def test_a_name_that_is_too_long_is_refused_with_its_length(length):
    with pytest.raises(NameRefused, match=f"{length:,} characters"):
        clean_name("A" * length, field="family_name")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Núñez-O’Brien", "nunez obrien"),
        ("ØSTERGÅRD", "ostergard"),
        ("Straße", "strasse"),
        ("Nguyễn", "nguyen"),
        ("Łukasz", "lukasz"),
        ("İpek", "ipek"),
        ("李小龍", "李小龍"),
        ("🙂", "🙂"),
        ("  De   la  Cruz ", "de la cruz"),
    ],
)
def test_search_ignores_case_accents_and_apostrophes(text, key):
    assert search_key(text) == key


@given(st.text(max_size=200), st.text(max_size=200))
def test_search_texts_are_short_enough_to_index_and_stable(given_name, family_name):
    for text in search_texts(given_name, family_name):
        assert len(text) <= 400
        assert search_key(text)[:400] == text.strip()[:400] or len(text) == 400


@given(st.text(max_size=500))
def test_any_text_is_a_clean_name_or_a_refusal(raw):
    try:
        name = clean_name(raw, field="family_name")
    except NameRefused:
        return

    assert 0 < len(name) <= NAME_LIMIT
    assert clean_name(name, field="family_name") == name


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (("Ana", "Reyes"), ("Anna", "Reyes"), True),
        (("Ana", "Reyes"), ("Reyes", "Ana"), True),
        (("Ana", "Reyes"), ("Ana", "Reyes López"), True),
        (("Ana", "Reyes"), ("ANA", "réyes"), True),
        (("Ana", "Reyes"), ("Bo", "Lindqvist"), False),
        (("Ana", "Reyes"), ("Ana", "Moreau"), False),
        (("", "Madonna"), ("", "Madona"), True),
    ],
)
def test_names_that_may_be_one_persons(one, other, alike):
    assert names_alike(one, other) is alike
    assert names_alike(other, one) is alike


@pytest.mark.parametrize(
    ("boxes", "day"),
    [
        (("14", "5", "1988"), date(1988, 5, 14)),
        ((" 01 ", "02", "2000"), date(2000, 2, 1)),
        (("29", "2", "1992"), date(1992, 2, 29)),
        (("3", "March", "1985"), date(1985, 3, 3)),
        (("3", "sep", "1985"), date(1985, 9, 3)),
    ],
)
def test_three_boxes_make_a_date(boxes, day):
    assert date_from_boxes(*boxes) == day


@pytest.mark.parametrize(
    ("boxes", "sentence"),
    [
        (("", "", ""), "Please fill in day, month and year."),
        (("", "5", "1988"), "The day is missing."),
        (("14", " ", "1988"), "The month is missing."),
        (("14", "5", ""), "The year is missing."),
        (("31", "2", "1988"), "There is no such day in that month. Please check it."),
        (("29", "2", "1900"), "There is no such day in that month. Please check it."),
        (("0", "5", "1988"), "There is no such day in that month. Please check it."),
        (("14", "13", "1988"), "There is no month 13. Months go from 1 to 12."),
        (("14", "0", "1988"), "There is no month 0. Months go from 1 to 12."),
        (("14", "5", "88"), "Please give the year with four figures, for example 1985."),
        (("14", "5", "0000"), "There is no such day in that month. Please check it."),
        (("x", "5", "1988"), "Please use figures, for example 27 3 1985."),
        (("14", "maybe?", "19😀8"), "Please use figures, for example 27 3 1985."),
        (("9" * 400, "5", "1988"), "There is no such day in that month. Please check it."),
    ],
)
def test_an_impossible_date_says_which_box_to_look_at(boxes, sentence):
    with pytest.raises(BirthDateRefused) as refused:
        date_from_boxes(*boxes)

    assert refused.value.for_people == sentence


@given(st.tuples(*[st.text(max_size=12)] * 3))
def test_any_three_boxes_make_a_date_or_a_sentence(boxes):
    try:
        made = date_from_boxes(*boxes)
    except BirthDateRefused as refused:
        made = refused.for_people

    assert isinstance(made, date) or made.endswith(".")


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("1988-05-14", date(1988, 5, 14)),
        ("14/5/1988", date(1988, 5, 14)),
        ("14.05.1988", date(1988, 5, 14)),
        ("14 May 1988", date(1988, 5, 14)),
        ("31/2/1988", None),
        ("reyes", None),
        ("14/5/88", None),
    ],
)
def test_a_date_typed_in_the_search_field(typed, day):
    assert read_date(typed) == day


@pytest.mark.parametrize(
    ("born_on", "sentence"),
    [
        (date(2026, 11, 24), "This date of birth is in the future. Please check the year."),
        (date(3026, 1, 1), "This date of birth is in the future. Please check the year."),
        (date(1899, 12, 31), "This date of birth is too long ago. Please check the year."),
        (date(1900, 1, 1), "This date of birth is too long ago. Please check the year."),
    ],
)
def test_a_birth_date_no_living_person_has(born_on, sentence):
    with pytest.raises(BirthDateRefused) as refused:
        check_born_on(born_on, today=TODAY)

    assert (refused.value.for_people, refused.value.field) == (sentence, "born_on")


@pytest.mark.parametrize("born_on", [TODAY, date(1926, 2, 1), date(2008, 2, 29)])
def test_a_birth_date_somebody_has(born_on):
    assert check_born_on(born_on, today=TODAY) == born_on


@pytest.mark.parametrize(
    ("born_on", "on", "age"),
    [
        (date(2008, 11, 23), TODAY, 18),
        (date(2008, 11, 24), TODAY, 17),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
        (date(2008, 2, 29), date(2028, 2, 28), 19),
        (date(2008, 2, 29), date(2028, 2, 29), 20),
        (date(2008, 12, 31), date(2026, 1, 1), 17),
        (TODAY, TODAY, 0),
    ],
)
def test_full_years_of_age(born_on, on, age):
    assert age_on(born_on, on) == age


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("07700 900123", "44", "+447700900123"),
        ("+44 (0)7700 900123", "44", "+447700900123"),
        ("+44 07700 900123", "44", "+447700900123"),
        ("0044-7700-900123", "44", "+447700900123"),
        ("+34 612 34 56 78", "44", "+34612345678"),
        ("612 345 678", "34", "+34612345678"),
        ("(212) 555-0123", "1", "+12125550123"),
        ("1.212.555.0123", "1", "+12125550123"),
        ("011 44 7700 900123", "1", "+447700900123"),
        ("06 12 34 56 78", "33", "+33612345678"),
        ("+39 06 1234567", "44", "+39061234567"),
        ("٠٧٧٠٠٩٠٠١٢٣", "44", "+447700900123"),
        ("\u202a+447700900123\u202c", "44", "+447700900123"),
    ],
)
def test_telephone_numbers_in_international_form(raw, country, number):
    assert clean_phone(raw, country=country) == number


@pytest.mark.parametrize(
    "raw",
    ["12", "abc", "+0 123 456", "", "+", "+44", "07700 900123 or 07700 900124", "+44 7700 9001234567", "1" * 60, "²³"],
)
def test_an_unusable_number_is_refused_with_what_to_do(raw):
    with pytest.raises(PhoneRefused) as refused:
        clean_phone(raw, country="44")

    assert refused.value.field == "phone"
    assert refused.value.for_people.endswith(".")


@given(st.text(max_size=45), st.sampled_from(["44", "34", "1", "49", "39"]))
def test_any_text_is_a_number_of_e164_or_a_refusal(raw, country):
    try:
        number = clean_phone(raw, country=country)
    except PhoneRefused:
        return

    assert number[0] == "+"
    assert number[1:].isascii()
    assert number[1:].isdecimal()
    assert 6 <= len(number) - 1 <= 15
    assert clean_phone(number, country="44") == number


@pytest.mark.parametrize(
    ("number", "code"),
    [("+442079460000", "44"), ("+34910000000", "34"), ("+12125550100", "1"), ("+351210000000", "351")],
)
def test_the_calling_code_of_a_clinics_own_number(number, code):
    assert calling_code(number) == code


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        (" Ana@Example.COM ", "ana@example.com"),
        ("ana+clinic@mail.example.co.uk", "ana+clinic@mail.example.co.uk"),
        ("ana@münchen.de", "ana@xn--mnchen-3ya.de"),
    ],
)
def test_email_addresses_as_they_are_kept(raw, address):
    assert clean_email(raw) == address


@pytest.mark.parametrize(
    "raw",
    ["", "ana", "@", "ana@", "@x.com", "a@b", "a b@c.de", "a@c.de, b@c.de", "é@x.com", "a..b@c.com", "a@b.c",
     "a@-b.com", "a@b.com\nbcc: c@d.com", "x" * 250 + "@a.com", "a@" + "b" * 64 + ".com"],
)  # fmt: skip
def test_an_unusable_address_is_refused_at_its_field(raw):
    with pytest.raises(EmailRefused) as refused:
        clean_email(raw)

    assert refused.value.field == "email"
