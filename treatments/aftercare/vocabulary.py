"""The words in which adverse events are recorded, checked when they are read."""

from __future__ import annotations

from dataclasses import dataclass

from clinic.packfile import Item, Pack


@dataclass(frozen=True)
class EventWord:
    """One kind of adverse event. `min_grade` is the least grade it can have, 1 to 5."""

    key: str
    label: str
    group: str
    usual: str
    adverse_from: str
    known_rate: str
    min_grade: int
    one_click: bool
    reportable: bool
    icd10: str
    source: str


@dataclass(frozen=True)
class Vocabulary:
    events: tuple[EventWord, ...]
    grades: tuple[tuple[int, str, str], ...]
    relatedness: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, str], ...]
    close_review_from_grade: int

    def event(self, key: str) -> EventWord:
        """Return the event of that key. Raises KeyError if there is none."""
        for word in self.events:
            if word.key == key:
                return word
        raise KeyError(key)


def parse_vocabulary(text: str, name: str) -> Vocabulary:
    """Return the checked vocabulary. Raises PackError with file, line and item."""
    pack = Pack(text, name)
    pack.only("vocabulary", "grade", "relatedness", "outcome", "event")
    head = pack.one("vocabulary")
    head.only("name", "title", "source", "close_review_from_grade")
    grades = tuple(_grade(item) for item in pack.many("grade"))
    if [number for number, _, _ in grades] != [1, 2, 3, 4, 5]:
        head.refuse("Grades are 1 to 5, in order.")
    return Vocabulary(
        events=tuple(_event(item) for item in pack.many("event")),
        grades=grades,
        relatedness=tuple(_choice(item) for item in pack.many("relatedness")),
        outcomes=tuple(_choice(item) for item in pack.many("outcome")),
        close_review_from_grade=head.integer("close_review_from_grade"),
    )


def _grade(item: Item) -> tuple[int, str, str]:
    item.only("id", "label", "text", "source")
    item.source()
    return int(item.one_of("id", "12345")), item.text("label"), item.text("text")


def _choice(item: Item) -> tuple[str, str]:
    item.only("id", "label", "source")
    item.source()
    return item.text("id"), item.text("label")


def _event(item: Item) -> EventWord:
    item.only(*EventWord.__dataclass_fields__, "id", "needs_decision", "note")
    grade = item.integer("min_grade", 1)
    if not 1 <= grade <= 5:
        item.refuse("A grade is 1 to 5.", "min_grade")
    return EventWord(
        key=item.text("id"),
        label=item.text("label"),
        group=item.text("group"),
        usual=item.text("usual", ""),
        adverse_from=item.text("adverse_from"),
        known_rate=item.text("known_rate", ""),
        min_grade=grade,
        one_click=item.flag("one_click"),
        reportable=item.flag("reportable"),
        icd10=item.text("icd10", ""),
        source=item.source(),
    )
