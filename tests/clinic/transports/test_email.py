"""Every answer an SMTP server may give, in real conversations with one."""

import socket
import threading

import pytest

from clinic.transports.email import Smtp, smtp
from clinic.transports.states import Failed, Retry, Sent, Unknown
from tests.factories.smtp import DROP, SILENCE, SmtpServer, self_signed

LETTER = b"Subject: hello\r\n\r\nA line.\r\n.hidden dot\r\n.\r\nlast"


@pytest.fixture(params=[False, True], ids=["one by one", "pipelined"])
def server(request):
    with SmtpServer(pipelining=request.param) as running:
        yield running


PATIENT = 60  # seconds: a busy machine answers late, and only who is silent on purpose is waited for so long
IMPATIENT = 2


@pytest.fixture
def line(server):
    line = Smtp("127.0.0.1", server.port, timeout=PATIENT)
    yield line
    line.close()


def send(line, to="ana@mail.example", then=""):
    return line.send(sender="hello@clinic.example", to=to, message_bytes=LETTER, then=then)


def test_a_letter_arrives_whole_with_its_dots_and_its_last_line(server, line):
    receipt = send(line)

    assert receipt == Sent("Taken as 42")
    assert server.letters[0].raw == b"Subject: hello\r\n\r\nA line.\r\n.hidden dot\r\n.\r\nlast\r\n"
    assert (server.letters[0].sender, server.letters[0].to) == ("hello@clinic.example", "ana@mail.example")


def test_the_connection_is_kept_from_one_letter_to_the_next(server, line):
    assert [type(send(line)) for _ in range(5)] == [Sent] * 5

    assert server.connections == 1


# The twelve answers: where in the conversation, what the server does, what it means.
ANSWERS = [
    ("MAIL", "421 4.3.2 shutting down", Retry),
    ("MAIL", "451 4.3.0 try later", Retry),
    ("MAIL", "552 5.3.4 too big", Failed),
    ("RCPT", "450 4.2.1 greylisted", Retry),
    ("RCPT", "550 5.1.1 no such user", Failed),
    ("DATA", "451 4.3.0 no space", Retry),
    ("DATA", "554 5.7.1 refused", Failed),
    ("END", "421 4.3.2 shutting down", Retry),
    ("END", "452 4.3.1 no space", Retry),
    ("END", "552 5.2.2 mailbox full", Failed),
    ("DATA", DROP, Retry),
    ("END", DROP, Unknown),
    ("END", SILENCE, Unknown),
    ("RCPT", SILENCE, Retry),
    ("MAIL", "530 5.7.0 sign in first", Retry),
]


@pytest.mark.parametrize(("stage", "answer", "meaning"), ANSWERS)
def test_each_answer_means_one_of_four_things_and_the_next_letter_goes(server, line, stage, answer, meaning):
    line.timeout = IMPATIENT if answer is SILENCE else PATIENT
    send(line)
    # A kept line that is cut before the letter left is tried once more on a new one.
    server.say(stage, answer, *([answer] if meaning is Retry and answer in {DROP, SILENCE} else []))

    receipt = send(line)
    after = send(line)

    assert type(receipt) is meaning
    assert after == Sent("Taken as 42")
    assert len(server.letters) == 2
    if answer not in {DROP, SILENCE}:
        assert receipt.answer == answer


WHO = [f"p{number}@mail.example" for number in range(4)]


def send_in_a_row(line, who=WHO):
    return [type(send(line, to, then)) for to, then in zip(who, [*who[1:], ""], strict=True)]


def test_letters_in_a_row_arrive_each_with_its_own_reader_over_one_connection(server, line):
    assert send_in_a_row(line) == [Sent] * 4

    assert [letter.to for letter in server.letters] == WHO
    assert {letter.raw for letter in server.letters} == {LETTER + b"\r\n"}
    assert server.connections == 1


@pytest.mark.parametrize(("stage", "answer", "meaning"), ANSWERS)
def test_in_a_row_each_answer_is_said_of_its_own_letter_and_no_other(server, line, stage, answer, meaning):
    line.timeout = IMPATIENT if answer is SILENCE else PATIENT
    send(line)
    # As above, a line that is cut before the letter left is tried once more on a new one. The first letter goes.
    server.say(stage, "", answer, *([answer] if meaning is Retry and answer in {DROP, SILENCE} else []))

    assert send_in_a_row(line) == [Sent, meaning, Sent, Sent]
    assert [letter.to for letter in server.letters[1:]] == [WHO[0], *WHO[2:]]


def test_a_letter_that_was_announced_and_does_not_come_is_not_sent_and_the_next_one_is(server, line):
    send(line, WHO[0], then=WHO[1])

    assert send(line, WHO[2]) == Sent("Taken as 42")
    assert [letter.to for letter in server.taken] == [WHO[0], WHO[2]]


@pytest.mark.parametrize("then", ["", "ana", "a@b>\r\nRCPT TO:<eve@x.example", "bea.núñez@m.example"])
def test_nobody_is_announced_who_could_say_something_else(server, line, then):
    assert send(line, WHO[0], then=then) == Sent("Taken as 42")
    assert [type(send(line, to)) for to in WHO[1:]] == [Sent] * 3

    assert server.connections == 1


def test_a_reader_who_is_refused_in_a_pipeline_gets_nothing_and_the_line_stays_in_step():
    with SmtpServer(pipelining=True) as server:
        line = Smtp("127.0.0.1", server.port, timeout=PATIENT)
        server.say("RCPT", "550 5.1.1 no such user", "450 4.2.1 greylisted")

        assert [type(send(line, f"{who}@mail.example")) for who in ("ana", "bea", "cleo")] == [Failed, Retry, Sent]
        assert [letter.to for letter in server.letters] == ["cleo@mail.example"]
        assert server.connections == 1
        line.close()


def test_a_server_that_waits_for_a_letter_to_nobody_gets_an_empty_one():
    """Some say 354 though they took no reader; whatever they say then, it is the refusal that counts."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        heard = threading.Thread(target=_says_go_on_to_everything, args=(door,))
        heard.start()
        line = Smtp("127.0.0.1", door.getsockname()[1], timeout=PATIENT)

        assert send(line) == Failed("550 5.1.1 no such user")
        assert send(line) == Failed("550 5.1.1 no such user")
        line.close()
        heard.join()


def _says_go_on_to_everything(door):
    line, _ = door.accept()
    with line, line.makefile("rwb") as talk:
        talk.write(b"220 odd\r\n")
        talk.flush()
        in_letter = False
        for command in talk:
            word = command[:4].strip().upper()
            if in_letter:
                in_letter = word != b"."
                answers = b"" if in_letter else b"554 no valid recipients\r\n"
            else:
                answers = {b"EHLO": b"250-odd\r\n250 PIPELINING\r\n", b"RCPT": b"550 5.1.1 no such user\r\n",
                           b"DATA": b"354 go on\r\n"}.get(word, b"250 OK\r\n")  # fmt: skip
                in_letter = word == b"DATA"
            talk.write(answers)
            talk.flush()


def test_only_faults_of_the_server_itself_stop_the_others(server, line):
    server.say("RCPT", "450 4.2.1 greylisted")
    assert send(line).gateway_down is False

    server.say("MAIL", "421 4.3.2 shutting down", "535 5.7.8 sign in")
    assert [send(line).gateway_down, send(line).gateway_down] == [True, True]


def test_a_line_that_was_cut_while_idle_is_reopened_and_nothing_is_said(server, line):
    send(line)
    server.say("MAIL", DROP)

    assert send(line) == Sent("Taken as 42")
    assert (len(server.letters), server.connections) == (2, 2)


def test_nobody_listening_is_a_retry_for_everyone():
    line = Smtp("127.0.0.1", 1, timeout=PATIENT)

    receipt = send(line)

    assert type(receipt) is Retry
    assert receipt.gateway_down


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "ana@",
        "ana@mail.example\r\nRCPT TO:<eve@x.example>",
        "ana@mail.example>",
        "a b@mail.example",
        "a@b,c@d",
    ],
)
def test_an_address_that_could_say_something_else_never_reaches_the_server(server, line, address):
    assert type(send(line, to=address)) is Failed
    assert server.connections == 0


def test_the_interrupted_line_is_not_used_again(server, line, monkeypatch):
    send(line)
    monkeypatch.setattr(line, "_verdict", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        send(line)
    monkeypatch.undo()

    assert send(line) == Sent("Taken as 42")
    assert server.connections == 2


# --- encryption -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls():
    return self_signed()


def test_with_starttls_the_letter_is_encrypted(tls):
    serving, trusting = tls
    with SmtpServer(serving) as server:
        line = Smtp("127.0.0.1", server.port, starttls=True, timeout=PATIENT, tls=trusting)
        assert send(line) == Sent("Taken as 42")
        line.close()

        assert server.letters[0].was_encrypted


@pytest.mark.parametrize("answer", ["454 4.7.0 TLS not available", "501 no", DROP])
def test_a_server_that_refuses_starttls_gets_nothing(tls, answer):
    serving, trusting = tls
    with SmtpServer(serving) as server:
        server.say("STARTTLS", answer)
        line = Smtp("127.0.0.1", server.port, starttls=True, timeout=PATIENT, tls=trusting)
        receipt = send(line)

        assert type(receipt) is Retry
        assert receipt.gateway_down
        assert (server.taken, server.commands) == ([], [])


def test_a_server_that_does_not_offer_starttls_gets_nothing(server, tls):
    line = Smtp("127.0.0.1", server.port, starttls=True, timeout=PATIENT, tls=tls[1])

    receipt = send(line)

    assert type(receipt) is Retry
    assert (server.taken, server.commands) == ([], [])


def test_a_server_with_a_certificate_nobody_vouches_for_gets_nothing(tls):
    with SmtpServer(tls[0]) as server:
        line = Smtp("127.0.0.1", server.port, starttls=True, timeout=PATIENT)
        receipt = send(line)

        assert type(receipt) is Retry
        assert (server.taken, server.commands) == ([], [])


# --- from the settings ------------------------------------------------------------------------------------------------


def test_each_thread_keeps_its_own_connection_and_changed_settings_open_another(settings, server):
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
    others = []
    thread = threading.Thread(target=lambda: others.append(smtp()))  # opened only when first needed
    thread.start()
    thread.join()

    mine = smtp()
    assert mine is smtp()
    assert others[0] is not mine

    settings.EMAIL_PORT = 1
    assert smtp() is not mine
