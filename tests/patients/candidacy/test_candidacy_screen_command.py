"""`manage.py screen`: its input forms, its lines of JSON, its refusals."""

import io
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from patients.candidacy.queries import PACK_FILE, shipped_pack
from patients.management.commands.screen import BadInput, screen_text
from tests.factories.answers import NEUTRAL

ROOT = Path(__file__).resolve().parents[3]


def run(*args, stdin="", monkeypatch=None):
    if monkeypatch:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="ascii"))
    out = io.StringIO()
    call_command("screen", *args, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([NEUTRAL, {"age_years": 17}]),
        json.dumps(NEUTRAL) + "\n" + json.dumps({"age_years": 17}) + "\n",
        json.dumps(NEUTRAL) + "\n\n" + json.dumps({"age_years": 17}),
    ],
    ids=["list", "lines", "lines with a gap"],
)
def test_a_list_and_lines_give_one_result_a_line(tmp_path, text):
    results = run("--modality", "nafl_1550", "--on", "2026-06-01", write(tmp_path / "in.json", text))

    assert [each["outcome"] for each in results] == ["eligible", "not_recommended"]


def test_an_object_may_span_lines_and_several_files_follow_each_other(tmp_path):
    one = write(tmp_path / "one.json", json.dumps(NEUTRAL, indent=2))
    two = write(tmp_path / "two.json", json.dumps({"age_years": 17}))

    assert [each["outcome"] for each in run("--modality", "afl_co2", one, two)] == ["eligible", "not_recommended"]


def test_a_result_has_the_agreed_shape(monkeypatch):
    answers = NEUTRAL | {"wax_last": "2026-05-31", "psoriasis": "prefer_not_to_say", "rosacea": None}

    (result,) = run("--modality", "nafl_1550", "--on", "2026-06-01", "-", stdin=json.dumps(answers),
                    monkeypatch=monkeypatch)  # fmt: skip

    assert (result["outcome"], result["earliest_date"]) == ("defer_until_date", "2026-06-07")
    assert result["pack"] == {"name": "candidacy", "version": 1, "sha256": shipped_pack().id.sha256}
    (finding,) = result["findings"]
    assert finding["answers"] == {"wax_last": "2026-05-31"}
    assert {key: finding[key] for key in ("rule", "topic", "effect", "patient_text", "rationale", "source")} == {
        "rule": "R47", "topic": "waxing", "effect": "defer", "patient_text": "Please avoid waxing before laser.",
        "rationale": "Barrier.", "source": "PREW D",
    }  # fmt: skip
    assert [(each["rule"], each["answers"]) for each in result["undecided"]] == [
        ("R24", {"psoriasis": "prefer_not_to_say"}),
        ("R57", {"rosacea": None, "psoriasis": "prefer_not_to_say"}),
        ("R59", {"rosacea": None}),
    ]
    assert result["missing"] == ["rosacea"]


def test_modality_and_day_may_stand_among_the_answers_and_arguments_win(tmp_path):
    own = NEUTRAL | {"modality": "pico_755", "reference_date": "2026-06-07", "exfoliant_last": "2026-05-31"}
    file = write(tmp_path / "in.json", json.dumps(own))

    assert [(each["modality"], each["outcome"]) for each in run(file)] == [("pico_755", "eligible")]
    assert [
        (each["modality"], each["reference_date"], each["outcome"])
        for each in run("--modality", "nafl_1550", "--on", "2026-06-06", file)
    ] == [("nafl_1550", "2026-06-06", "defer_until_date")]


def test_another_pack_may_be_tried(tmp_path):
    text = (
        PACK_FILE.read_text(encoding="utf-8").replace("version = 1", "version = 2").replace("below = 18", "below = 21")
    )
    pack = write(tmp_path / "pack.toml", text)
    answers = write(tmp_path / "in.json", json.dumps(NEUTRAL | {"age_years": 20}))

    (result,) = run("--modality", "nafl_1550", "--pack", pack, answers)

    assert (result["outcome"], result["pack"]["version"]) == ("not_recommended", 2)


BAD = [
    ('{"eczema": "sometimes"}', "in.json: eczema: "),
    ('{"smokes": "never"}', "in.json: smokes: "),
    ('[{"age_years": 40}, {"gold_ever": "no"}]', "in.json: record 2: gold_ever: "),
    ('{"age_years": 40}\n{"wax_last": "31.5.2026"}\n', "in.json:2: wax_last: "),
    ('{"age_years": 40}\n{"wax_last": \n', "in.json:2: Not JSON"),
    ('{"age_years": 40, "age_years": 17}', "in.json: age_years: This key stands twice"),
    ('{"age_years": NaN}', "in.json: age_years: "),
    ('[{"age_years": 40}, {"age_years": -Infinity}]', "in.json: record 2: age_years: "),
    ('{"age_years": ' + "9" * 5000 + "}", "in.json: age_years: "),
    ("NaN", "in.json: Answers must be an object"),
    ("[[" * 10, "in.json:1: Not JSON"),
    ('{"eczema": ' + "[" * 100_000 + "]" * 100_000 + "}", "in.json: Nested too deeply"),
    ("[1]", "in.json: record 1: Answers must be an object"),
    ("null", "in.json: Answers must be an object"),
    ("", "in.json:1: Not JSON"),
    ("age_years: 40", "in.json:1: Not JSON"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_input_names_file_and_key(text, message):
    with pytest.raises(BadInput) as refused:
        list(screen_text(text, "in.json", shipped_pack(), modality="afl_co2", today=date(2026, 6, 1)))

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--modality", "afl", "-"], "--modality"),
        (["--modality", "afl_co2", "--on", "June", "-"], "--on"),
        (["--modality", "afl_co2", "/no/such/file"], "/no/such/file"),
        (["-"], "modality"),
    ],
)
def test_bad_arguments_end_with_two(args, message, monkeypatch):
    with pytest.raises(CommandError, match=message) as refused:
        run(*args, stdin=json.dumps(NEUTRAL), monkeypatch=monkeypatch)

    assert refused.value.returncode == 2


def test_the_real_command_needs_no_database_and_exits_with_two_on_bad_input(tmp_path):
    good = write(tmp_path / "good.json", json.dumps(NEUTRAL))
    bad = write(tmp_path / "bad.json", json.dumps({"eczema": "sometimes"}))
    environment = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "PATH": "/usr/bin:/bin"}

    def manage(file):
        return subprocess.run(
            [sys.executable, "manage.py", "screen", "--modality", "afl_co2", "--on", "2026-06-01", file],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip

    fine, refused = manage(good), manage(bad)

    assert (fine.returncode, json.loads(fine.stdout)["outcome"]) == (0, "eligible")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"{bad}: eczema: " in refused.stderr


def test_a_line_separator_within_a_string_does_not_end_a_line():
    said = NEUTRAL | {"allergies": ["other"], "allergies_text": "plasters\u2028and\u0085glue"}
    text = "\r\n".join([json.dumps(said, ensure_ascii=False), json.dumps(NEUTRAL)])

    results = list(screen_text(text, "in.json", shipped_pack(), modality="nafl_1550", today=date(2026, 6, 1)))

    assert [each.outcome for each in results] == ["eligible", "eligible"]


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    latin = tmp_path / "latin.json"
    latin.write_bytes('{"allergies_text": "caf\u00e9"}'.encode("latin-1"))
    good = write(tmp_path / "good.json", json.dumps(NEUTRAL))

    for args in (["--modality", "afl_co2", str(latin)], ["--modality", "afl_co2", "--pack", str(latin), good]):
        with pytest.raises(CommandError) as refused:
            run(*args)

        assert refused.value.returncode == 2
        assert str(refused.value).startswith(f"{latin}: Not UTF-8: ")


def test_a_mark_of_the_byte_order_is_no_answer(tmp_path):
    marked = tmp_path / "marked.json"
    marked.write_bytes(b"\xef\xbb\xbf" + json.dumps(NEUTRAL).encode())

    assert [each["outcome"] for each in run("--modality", "pico_755", str(marked))] == ["eligible"]
