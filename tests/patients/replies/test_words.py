"""Which texts stop, start and alarm; and that the files of words are refused where they make no sense."""

import pytest

from clinic.packfile import PackError
from patients.replies.queries import canned_answers, triggers, words
from patients.replies.words import parse_answers, parse_triggers, parse_words, spoken, triggers_in, worst


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop.", " Stop! ", "ARRET", "arrêt", "UNSUBSCRIBE", "Unsubscribe.", "baja", "S T O P", "QUIT", "End",
     "opt-out", "Stopp", "desabonner", "Désabonner", "stop texting me", "STOP.\n", "stopall"],
)  # fmt: skip
def test_a_text_that_says_nothing_but_stop_stops(text):
    assert words().wish(text) == "stop"


@pytest.mark.parametrize("text", ["START", "start.", "Unstop", "alta", "Opt in"])
def test_a_text_that_says_nothing_but_start_starts(text):
    assert words().wish(text) == "start"


@pytest.mark.parametrize(
    "text",
    ["", "...", "please stop by at ten", "cancel", "yes", "I can't stop bleeding", "when does it end?", "start at 9?"],
)
def test_any_other_text_is_read_by_a_person(text):
    assert words().wish(text) == ""


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("I can't breathe", "E"),
        ("cant  BREATHE!!", "E"),
        ("my lips are swollen and my face is hot", "E"),
        ("I fainted", "E"),
        ("eye pain since this morning", "E"),
        ("no puedo respirar", "E"),
        ("me desmayé", "E"),
        ("i want to die", "E"),
        ("is this an emergency?", "E"),
        ("lots of blisters", "U1"),
        ("there is pus", "U1"),
        ("fever 38.5", "U1"),
        ("tengo ampollas", "U1"),
        ("fever and I can’t see", "E"),
    ],
)
def test_words_that_may_mean_an_emergency_ring(text, level):
    assert worst(triggers_in(text, triggers())) == level


@pytest.mark.parametrize(
    "text",
    ["", "my face is hot", "Can I come on Tuesday?", "on purpose", "push it to Friday", "thank you", "I seize the day"],
)
def test_other_texts_do_not_ring(text):
    assert triggers_in(text, triggers()) == ()


def test_words_are_compared_without_signs_accents_and_case():
    assert spoken("  Can’t   BREATHE—désolé! ") == "cant breathe desole"


def test_every_trigger_says_its_source_and_waits_for_the_clinic():
    assert {trigger.level for trigger in triggers()} == {"E", "U1"}
    assert len({trigger.id for trigger in triggers()}) == len(triggers())


@pytest.mark.parametrize(
    ("parse", "text", "line"),
    [
        (parse_words, '[[stop]]\nwords = ["stop"]', 1),
        (parse_words, '[[stop]]\nwords = ["..."]\nsource = "x"', 2),
        (parse_words, '[[stop]]\nwords = ["go"]\nsource = "x"\n[[start]]\nwords = ["GO."]\nsource = "x"', 5),
        (parse_words, '[[halt]]\nwords = ["halt"]', 1),
        (parse_triggers, '[[trigger]]\nid = "a"\nlevel = "U9"\nlabel = "A"\nphrases = ["a"]\nsource = "x"', 3),
        (parse_triggers, '[[trigger]]\nid = "a"\nlevel = "E"\nlabel = "A"\nphrases = []\nsource = "x"', 5),
        (parse_triggers, '[[trigger]]\nid = "a"\nlevel = "E"\nlabel = "A"\nphrases = ["a"]', 1),
        (parse_answers, '[[answer]]\nid = "a"\nlabel = "A"\nes = "hola"', 1),
        (parse_answers, '[[answer]]\nid = "a"\nlabel = "A"\nen = "hi"\nxx = "hi"', 5),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_line(parse, text, line):
    with pytest.raises(PackError) as refused:
        parse(text, "test.toml")

    assert refused.value.line == line


def test_an_answer_is_in_the_readers_language_where_we_have_it():
    answer = next(each for each in canned_answers() if each.id == "call_us")

    assert answer.text("es", "+44 1") == "gracias por su mensaje. Por favor llámenos al +44 1."
    assert answer.text("pt", "+44 1") == "thank you for your text. Please call us on +44 1."
