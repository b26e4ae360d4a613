"""Texts into a file: whole lines, and never the same key twice."""

import json
import threading
from datetime import UTC, datetime

from clinic.transports.sms import FileGateway, sms_gateway
from clinic.transports.states import Failed, Retry, Sent

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_text_becomes_one_line(tmp_path):
    gateway = FileGateway(tmp_path / "out" / "sms.jsonl")

    receipt = gateway.send(to="+447700900001", text="Hello\nAna “quoted”", key="m-1", at=AT)

    assert receipt == Sent("m-1")
    assert lines(gateway.path) == [
        {"key": "m-1", "at": "2026-11-23T10:00:00+00:00", "to": "+447700900001", "text": "Hello\nAna “quoted”"}
    ]


def test_the_same_key_is_the_same_text(tmp_path):
    gateway = FileGateway(tmp_path / "sms.jsonl")

    receipts = [gateway.send(to="+447700900001", text="Hello", key="m-1", at=AT) for _ in range(3)]

    assert receipts == [Sent("m-1")] * 3
    assert len(lines(gateway.path)) == 1


def test_a_number_that_is_none_is_refused(tmp_path):
    gateway = FileGateway(tmp_path / "sms.jsonl")

    assert isinstance(gateway.send(to="07700900001", text="Hello", key="m-1", at=AT), Failed)
    assert not gateway.path.exists()


def test_a_folder_that_cannot_be_written_is_the_gateways_fault(tmp_path):
    (tmp_path / "file").write_text("")
    receipt = FileGateway(tmp_path / "file" / "sms.jsonl").send(to="+447700900001", text="Hello", key="m", at=AT)

    assert isinstance(receipt, Retry)
    assert receipt.gateway_down


def test_writers_never_mix_their_lines(tmp_path):
    path = tmp_path / "sms.jsonl"

    def write(number):
        for each in range(20):
            FileGateway(path).send(to="+447700900001", text=str(number) * 500, key=f"{number}-{each}", at=AT)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(line["key"] for line in lines(path)) == sorted(f"{n}-{each}" for n in range(4) for each in range(20))


def test_the_settings_choose_the_gateway(settings, tmp_path):
    settings.SMS_GATEWAY, settings.SMS_FILE = "file", tmp_path / "x.jsonl"
    assert sms_gateway().path == tmp_path / "x.jsonl"

    settings.SMS_GATEWAY = "none"
    assert sms_gateway() is None
