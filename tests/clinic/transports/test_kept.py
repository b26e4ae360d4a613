"""Reading letters and texts back, whatever lies in the folder."""

import json
from datetime import UTC, datetime

from clinic.transports.kept import kept_message, kept_messages

LETTER = b"""From: Harley Street <hello@clinic.example>\r
To: ana@mail.example\r
Subject: =?utf-8?q?S=C3=B6hne?=\r
Date: Mon, 23 Nov 2026 10:00:00 +0000\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
Hello =C3=84na\r
"""


def keep(folder, name, body=LETTER):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(body)


def text(path, number, at="2026-11-23T11:00:00+00:00"):
    with path.open("a") as file:
        file.write(json.dumps({"key": f"k{number}", "at": at, "to": "+44770090000" + str(number), "text": "Hi"}) + "\n")


def test_letters_and_texts_are_read_newest_first(tmp_path):
    keep(tmp_path / "box", "1.eml")
    text(tmp_path / "sms.jsonl", 1)

    found = kept_messages(tmp_path / "box", tmp_path / "sms.jsonl")

    assert [(kept.key, kept.is_letter) for kept in found] == [("text-1", False), ("1.eml", True)]
    letter = found[1]
    assert (letter.subject, letter.text.strip(), letter.to) == ("Söhne", "Hello Äna", "ana@mail.example")
    assert letter.at == datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def test_nothing_there_is_an_empty_mailbox(tmp_path):
    assert kept_messages(tmp_path / "none", tmp_path / "none.jsonl") == []


def test_half_a_line_and_a_letter_without_a_date_do_no_harm(tmp_path):
    text(tmp_path / "sms.jsonl", 1)
    with (tmp_path / "sms.jsonl").open("a") as file:
        file.write('{"key": "k2", "at": "2026')
    keep(tmp_path / "box", "1.eml", b"no headers at all")

    assert len(kept_messages(tmp_path / "box", tmp_path / "sms.jsonl")) == 2


def test_a_key_never_leaves_the_folder(tmp_path):
    keep(tmp_path, "secret.eml")
    keep(tmp_path / "box", "1.eml")

    for key in ("../secret.eml", "..", "", "1", "text-9", str(tmp_path / "secret.eml"), "box/../1.eml"):
        assert kept_message(tmp_path / "box", tmp_path / "sms.jsonl", key) is None
    assert kept_message(tmp_path / "box", tmp_path / "sms.jsonl", "1.eml").subject == "Söhne"
