"""The cells of the diary's grid as HTML: a full day has more than a thousand, too many for a template's loop.

Everything that a person typed goes through `escape`; the rest are words of the catalogue, numbers and keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from functools import lru_cache
from html import escape
from typing import NamedTuple

from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import override

from treatments.booking.looks import LOOKS
from treatments.booking.states import Step
from treatments.diary.grid import Card, Column, Diary, Gap
from treatments.today.lines import MARKS, Mark

# What may be dragged: nothing has begun, and nobody waits for an answer.
MOVABLE = frozenset({Step.BOOKED, Step.CONFIRMED})


class Drawn(NamedTuple):
    """A column as it is sent. `mark` is equal where all of it but the line of now is; one that is `kept` is not sent
    again to a page that shows it."""

    column: Column
    cells: SafeString
    mark: str
    kept: bool = False


class Cells:
    """Draws the cells of one page; what is the same on all of them is made once."""

    def __init__(self, *, may_book: bool) -> None:
        self.may_book = may_book
        self.book_url = reverse("book")
        self.visit_url = reverse("appointment", args=["00000000-0000-0000-0000-000000000000"])
        self.signs = static("img/icons.svg")
        self.word, self.away = escape(_("Book")), escape(_("Away"))
        self.marks: dict[Mark, str] = {}
        self.icons: dict[tuple[str, str], str] = {}

    def drawn(self, diary: Diary, shown: Collection[str] = ()) -> Iterable[Drawn]:
        """Yield the columns; those whose mark is among the `shown` ones without their cells."""
        for column in diary.columns:
            ground, visits = self._ground(column), self._visits(column, diary.last_row)
            past, free = (self._gaps(column, gaps) for gaps in (column.past, column.gaps))
            head = repr((column.kind, column.ref, column.title, column.subtitle, column.opens, diary.last_row))
            # Free quarters that are over count as if they were drawn: the page takes them away by itself.
            mark = hashlib.blake2b("".join((head, ground, past, free, visits)).encode(), digest_size=8).hexdigest()
            kept = mark in shown
            yield Drawn(column, SafeString("" if kept else ground + free + visits), mark, kept)

    def of(self, column: Column, last_row: int) -> SafeString:
        """Return a column: its hours, absences, free quarters and visits."""
        # Every text from outside was escaped where it was put in.
        return SafeString(self._ground(column) + self._gaps(column, column.gaps) + self._visits(column, last_row))

    def _ground(self, column: Column) -> str:
        parts = [f'<i class="dg-open r-{block.row} h-{block.rows}"></i>' for block in column.open]
        parts += [f'<div class="dg-away r-{block.row} h-{block.rows}">{self.away}</div>' for block in column.away]
        if column.missing:
            parts.append(f'<i class="dg-missing r-{column.missing.row} h-{column.missing.rows}"></i>')
        return "".join(parts)

    def _visits(self, column: Column, last_row: int) -> str:
        return "".join((*(self._card(column, card) for card in column.cards), _end(last_row)))

    def axis(self, diary: Diary) -> SafeString:
        """Return the hours beside the columns."""
        parts = [f'<span class="r-{hour.row} ag-num">{escape(hour.label)}</span>' for hour in diary.hours]
        return SafeString("".join((*parts, _end(diary.last_row))))

    def _gaps(self, column: Column, gaps: Iterable[Gap]) -> str:
        if not self.may_book:
            return ""
        title, start = escape(column.title), f'" tabindex="-1" href="{self.book_url}?at='
        end = f'<span class="visually-hidden">, {title}</span></span></a>'
        chosen = f"&amp;{column.kind}={column.ref}"
        return "".join(
            f'<a class="dg-gap r-{block.row} h-{block.rows}{start}{query}{chosen}"><span>{self.word} {label}{end}'
            for block, query, label in gaps
        )

    def _card(self, column: Column, card: Card) -> str:
        line, visit, block = card.line, card.line.visit, card.block
        look, name, what = line.look, escape(line.name), escape(visit.type_label)
        place = visit.practitioner if column.kind != "practitioner" else visit.room
        lanes = f" w-{block.lanes}-{block.lane}" if block.lanes > 1 else ""
        drag, grip = "", ""
        if self.may_book and line.step in MOVABLE:
            start = int(visit.starts_at.timestamp())
            drag = f' data-drag="{visit.version}" data-start="{start}" data-work="{visit.minutes_work}"'
            grip = '<i class="dg-grip"></i>'
        before = f'<i class="dg-phase dg-before b-{card.before}"></i>' if card.before else ""
        after = f'<i class="dg-phase dg-after b-{card.after}"></i>' if card.after else ""
        return (
            f'<a class="dg-visit ag-tone-{look.tone} is-{visit.status} r-{block.row} h-{block.rows}{lanes}'
            f'{" is-short" if block.rows < 4 else ""}" id="{column.kind[0]}-{visit.ref}"'
            f' href="{self.visit_url.replace("00000000-0000-0000-0000-000000000000", str(visit.ref))}"'
            f' data-row data-visit{drag} title="{line.starts} {name}, {what}: {escape(str(look.label))}">'
            f'{before}{after}<span class="dg-top"><span class="dg-line"><span class="ag-num">{card.starts}</span>'
            f' <strong>{name}</strong></span><span class="dg-icons">{"".join(map(self._mark, line.marks))}'
            f"{self._icon(look.icon, str(look.label))}</span></span>"
            f'<span class="dg-what">{what}{f" · {escape(place)}" if place else ""}</span>'
            f'{f"""<span class="dg-what">{escape(card.note)}</span>""" if card.note else ""}{grip}</a>'
        )

    def _mark(self, mark: Mark) -> str:
        found = self.marks.get(mark)
        if found is None:
            label = escape(str(mark.label))
            found = (
                f'<span class="dy-mark ag-tone-{mark.tone}" title="{label}">{self._icon(mark.icon, mark.label)}</span>'
            )
            self.marks[mark] = found
        return found

    def _icon(self, icon: str, label: str) -> str:
        found = self.icons.get((icon, label))
        if found is None:
            found = (
                f'<svg class="ag-icon" aria-hidden="true" focusable="false"><use href="{self.signs}#{icon}"></use>'
                "</svg>"
                f'<span class="visually-hidden">{escape(label)}</span>'
            )
            self.icons[icon, label] = found
        return found


def _end(last_row: int) -> str:
    return f'<i class="dg-end r-{last_row}"></i>'


@lru_cache(maxsize=8)
def legend(language: str) -> SafeString:
    """Return what the colours and signs mean, in a language. The same for every day."""
    with override(language or None):
        return SafeString(
            render_to_string("treatments/diary/_legend.html", {"looks": LOOKS.values(), "marks": MARKS.values()})
        )
