"""The floor of `screen`: the same rules in simpleeval, a general expression library. Two-valued, explaining nothing.

Each condition is one expression, parsed once. What is open counts as "does not hold", so the floor has less to do
than the engine: it neither weighs what is undecided nor says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from patients.candidacy.rules import Pack
from patients.conditions.rules import All, Test, in_group
from patients.intake.questionnaire import Answers, Questionnaire
from patients.intake.rules import parse_day
from patients.intake.states import QuestionType, Special

try:
    from simpleeval import SimpleEval
except ImportError:  # a development requirement: production has no use for it
    SimpleEval = None

HOW_TO_GET_IT = "The floor of “screen” needs simpleeval: pip install -r requirements-dev.txt."
_FAR = 10**9


class LibraryRules:
    """A pack's rules for every group of modalities, ready to be put to answers."""

    def __init__(self, pack: Pack, on: date) -> None:
        if SimpleEval is None:
            raise RuntimeError(HOW_TO_GET_IT)
        self.pack, self.on = pack, on.toordinal()
        self.names: dict[str, object] = dict.fromkeys(pack.known)
        self.library = SimpleEval(
            functions={"since": self._since, "ahead": self._ahead, "is_date": _is_date, "meets": _meets}
        )
        self.rules = {group: self._rules(group) for group in set(pack.group_of.values())}

    def fired(self, answers: Answers, modality: str) -> list[str]:
        """Return the ids of the rules that are true."""
        library, questionnaire = self.library, self.pack.questionnaire
        library.names = {
            **self.names,
            **answers,
            "skin_score": _skin_score(questionnaire, answers),
            "unsure": _is_unsure(questionnaire, answers),
        }
        rules = self.rules[self.pack.group_of[modality]]
        return [rule for rule, cases in rules if any(library.eval(text, parsed) for text, parsed in cases)]

    def _rules(self, group: str) -> list[tuple[str, list[tuple[str, Any]]]]:
        found = []
        for rule in self.pack.rules:
            texts = [
                self._expression(tests, group)
                for case in rule.cases
                if case.effects.get(group) is not None
                for tests in in_group(case.when, group)
            ]
            if texts:
                found.append((rule.id, [(text, self.library.parse(text)) for text in texts]))
        return found

    def _expression(self, tests: All, group: str) -> str:
        return " and ".join(f"({self._test(test, group)})" for test in tests) or "True"

    def _test(self, test: Test, group: str) -> str:
        match test.operator:
            case "in" if self.pack.questionnaire.by_key[test.question].type == QuestionType.MULTI:
                return f"meets({test.question}, {self._constant(test)})"
            case "in" if test.values in ({True}, {False}):
                return f"{test.question} == {True in test.values}"
            case "in":
                return f"{test.question} in {self._constant(test)}"
            case "below":
                return f"{test.question} != None and {test.question} < {test.number}"
            case "within":
                return f"since({test.question}) < {self._days(test, group)}"
            case "ahead_within":
                return f"ahead({test.question}) >= 0 and ahead({test.question}) < {self._days(test, group)}"
            case "is_date":
                return f"is_date({test.question})"
            case "no_date":
                return f"not is_date({test.question})"
            case "self_type":
                return f"skin_score >= {test.number}"
            case "any_unsure":
                return "unsure"
        raise ValueError(f"Unknown test {test.operator}.")

    def _constant(self, test: Test) -> str:
        name = f"set_{len(self.names)}"
        self.names[name] = test.values
        return name

    def _days(self, test: Test, group: str) -> int:
        return self.pack.days[test.days].by_group[group]

    def _since(self, value: object) -> int:
        day = parse_day(value)
        return self.on - day.toordinal() if day else _FAR

    def _ahead(self, value: object) -> int:
        return -self._since(value)


def _is_date(value: object) -> bool:
    return parse_day(value) is not None


def _meets(value: object, wanted: frozenset[str]) -> bool:
    return isinstance(value, list) and not wanted.isdisjoint(value)


def _is_unsure(questionnaire: Questionnaire, answers: Answers) -> bool:
    if Special.NOT_SURE not in answers.values():
        return False
    by_key: Mapping[str, Any] = questionnaire.by_key
    return any(value == Special.NOT_SURE and by_key[key].health for key, value in answers.items())


def _skin_score(questionnaire: Questionnaire, answers: Answers) -> int:
    points = [answers.get(key) for key in questionnaire.skin.items]
    return -1 if Special.NOT_APPLICABLE in points else sum(point for point in points if isinstance(point, int))
