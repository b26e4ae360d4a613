"""What a kept HTTP connection does when the other end cuts an answer short, hangs up, or is nobody we trust."""

import socket
import ssl
import threading

import pytest

from clinic.transports import web

WHOLE = b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n"
TAKEN = WHOLE + b'{"id": "S1"}'


@pytest.fixture
def server(settings):
    """A server that says each of `answers` on a connection of its own, and hangs up after it."""
    settings.SMS_TIMEOUT = 60
    answers, taken = [], []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve():
            for answer in answers:
                line, _ = door.accept()
                with line:
                    said = line.recv(65536)
                    while said.startswith(b"POST") and not said.endswith(b"{}"):
                        said += line.recv(65536)
                    taken.append(said)
                    line.sendall(answer)

        serving = threading.Thread(target=serve, daemon=True)

        def begin(*said, scheme="http"):
            answers.extend(said)
            serving.start()
            return f"{scheme}://127.0.0.1:{door.getsockname()[1]}/messages?a=1"

        begin.taken, begin.thread = taken, serving
        yield begin
        web.close_connections()


def ask(url):
    return web.ask("POST", url, headers={"Accept": "application/json"}, body=b"{}")


def test_a_line_that_was_hung_up_is_opened_anew(server):
    url = server(TAKEN, TAKEN)

    assert ask(url).document == {"id": "S1"}
    (line,) = web._kept.lines.values()
    line.sock.settimeout(60)
    assert line.sock.recv(1, socket.MSG_PEEK) == b""  # it has gone, and says so without being asked
    assert ask(url).document == {"id": "S1"}
    assert [said.split(b"\r\n")[0] for said in server.taken] == [b"POST /messages?a=1 HTTP/1.1"] * 2


def test_a_yes_that_was_cut_short_may_have_been_a_yes(server):
    url = server(TAKEN[:-4], TAKEN)

    with pytest.raises(web.AnswerLost):
        ask(url)
    assert ask(url).status == 201


def test_a_no_that_was_cut_short_is_a_no(server):
    url = server(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 12\r\n\r\nwa", TAKEN)

    answer = ask(url)

    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"", "7")
    assert ask(url).status == 201


def test_what_nobody_vouches_for_is_told_nothing(server):
    url = server(b"", scheme="https")  # whatever it says, it is no greeting of TLS

    with pytest.raises(web.NotReached):
        ask(url)
    server.thread.join(60)
    assert b"POST" not in server.taken[0]


def test_certificates_are_checked_and_so_is_the_name_on_them():
    assert (web._trust().verify_mode, web._trust().check_hostname) == (ssl.CERT_REQUIRED, True)
