"""The cells of the diary's grid as HTML: a full day has more than a thousand, too many for a template's loop.

Everything that a person typed goes through `escape`; the rest are words of the catalogue, numbers and keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from treatments.booking.diary import Card, Column, Mark
from treatments.booking.states import Step

# What may be dragged: nothing has begun, and nobody waits for an answer.
MOVABLE = frozenset({Step.BOOKED, Step.CONFIRMED})


class Cells:
    """Draws the cells of one page; what is the same on all of them is made once."""

    def __init__(self, *, may_book: bool) -> None:
        self.may_book = may_book
        self.book_url = reverse("book")
        self.visit_url = reverse("appointment", args=["00000000-0000-0000-0000-000000000000"])
        self.signs = static("img/icons.svg")
        self.word = escape(_("Book"))
        self.marks: dict[Mark, str] = {}
        self.icons: dict[tuple[str, str], str] = {}

    def of(self, column: Column) -> SafeString:
        """Return the free quarters and the visits of a column."""
        # Every text from outside was escaped where it was put in.
        return mark_safe("".join((*self._gaps(column), *(self._card(column, card) for card in column.cards))))  # noqa: S308

    def _gaps(self, column: Column) -> Iterator[str]:
        if not self.may_book:
            return
        title, start = escape(column.title), f'" tabindex="-1" href="{self.book_url}?at='
        end = f'<span class="visually-hidden">, {title}</span></span></a>'
        chosen = f"&amp;{column.kind}={column.ref}"
        for block, query, label in column.gaps:
            yield (
                f'<a class="dg-gap r-{block.row} h-{block.rows}{start}{query}{chosen}"><span>{self.word} {label}{end}'
            )

    def _card(self, column: Column, card: Card) -> str:
        line, visit, block = card.line, card.line.visit, card.block
        look, name, what = line.look, escape(line.name), escape(visit.type_label)
        place = visit.practitioner if column.kind != "practitioner" else visit.room
        lanes = f" w-{block.lanes}-{block.lane}" if block.lanes > 1 else ""
        drag, grip = "", ""
        if self.may_book and visit.step in MOVABLE:
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
