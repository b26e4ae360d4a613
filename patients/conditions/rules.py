"""Conditions on a set of answers: a small closed language, three-valued, compiled to one function.

A condition is true, false or undecided (an answer it needs is missing, "not sure" or withheld; Kleene's logic). It is
kept as an "any of all of" of tests. `compile_conditions` turns many of them into one Python function, because a
clinic screens its whole history when it tries a new version of its rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clinic.packfile import Item
from patients.intake.questionnaire import UNKNOWN, AnswerRefused, Answers, AskIf, Question, Questionnaire
from patients.intake.rules import check_value, parse_day
from patients.intake.states import NEVER, QuestionType, Special

# Why a question is open: never answered (or "does not apply" where it does), unsure, withheld.
BLANK = "blank"

_NEVER_DAY = -(10**9)
_UNKNOWN_DAY = 10**9
_OPEN = "\0open"
_OPEN_SET = frozenset({_OPEN})
_HIDDEN = "\0hidden"
_NOTHING: frozenset[str] = frozenset()

# Which tests may be put to which type of question.
OPERATORS: Mapping[str, frozenset[QuestionType]] = {
    "is": frozenset({QuestionType.ENUM, QuestionType.BOOL}),
    "is_not": frozenset({QuestionType.ENUM}),
    "in": frozenset({QuestionType.ENUM}),
    "has_any": frozenset({QuestionType.MULTI}),
    "any_chosen": frozenset({QuestionType.MULTI}),
    "below": frozenset({QuestionType.INT}),
    "within": frozenset({QuestionType.DATE}),
    "ahead_within": frozenset({QuestionType.DATE}),
    "is_date": frozenset({QuestionType.DATE}),
    "no_date": frozenset({QuestionType.DATE}),
}


@dataclass(frozen=True)
class Days:
    """A named number of days, the same for all groups of modalities or one for each."""

    name: str
    by_group: Mapping[str, int]


@dataclass(frozen=True)
class Test:
    """One test of one answer. `operator` is a key of OPERATORS, "group", "self_type" or "any_unsure"."""

    operator: str
    question: str = ""
    values: frozenset[str | bool] = frozenset()
    number: int = 0
    days: str = ""


All = tuple[Test, ...]
Condition = tuple[All, ...]


@dataclass(frozen=True)
class Vocabulary:
    """What a condition may speak of."""

    questionnaire: Questionnaire
    groups: frozenset[str]
    days: Mapping[str, Days]
    facts: Mapping[str, Condition]

    def read(self, item: Item, raw: object, key: str = "when") -> Condition:
        """Return the condition that a TOML value states. Refuses with the item's line what the language lacks."""
        if not isinstance(raw, dict):
            item.refuse(f"“{key}” must be a condition.", key)
        if "all" in raw or "any" in raw:
            return self._combine(item, raw, key)
        if "fact" in raw:
            if set(raw) != {"fact"} or raw["fact"] not in self.facts:
                item.refuse(f"“{raw['fact']}” is no fact of this pack.", key)
            return self.facts[raw["fact"]]
        return ((self._test(item, raw, key),),)

    def _combine(self, item: Item, raw: Mapping[str, Any], key: str) -> Condition:
        ((word, parts),) = raw.items() if len(raw) == 1 else (("", None),)
        if not isinstance(parts, list) or not parts:
            item.refuse("“all” and “any” stand alone and hold a list of conditions.", key)
        read = [self.read(item, part, key) for part in parts]
        if word == "any":
            return tuple(each for condition in read for each in condition)
        product: Condition = ((),)
        for condition in read:
            product = tuple(left + right for left in product for right in condition)
        return product

    def _test(self, item: Item, raw: Mapping[str, Any], key: str) -> Test:
        if set(raw) == {"group"}:
            return Test("group", values=frozenset(self.check_groups(item, raw["group"], key)))
        if set(raw) == {"self_type_at_least"}:
            if raw["self_type_at_least"] not in range(1, 7):
                item.refuse("“self_type_at_least” must be 1 to 6.", key)
            return Test("self_type", number=self.questionnaire.skin.threshold(raw["self_type_at_least"]))
        if raw == {"any_answer": Special.NOT_SURE.value}:
            return Test("any_unsure")
        names = [name for name in raw if name != "question"]
        if len(names) != 1 or "question" not in raw or names[0] not in OPERATORS:
            item.refuse(f"Unknown operator in {raw}. Known: {', '.join(OPERATORS)}.", key)
        return self._question_test(item, raw["question"], names[0], raw[names[0]], key)

    def _question_test(self, item: Item, name: str, operator: str, value: Any, key: str) -> Test:
        question = self.questionnaire.by_key.get(name)
        if question is None:
            item.refuse(f"“{name}” is no question of the questionnaire.", key)
        if question.type not in OPERATORS[operator]:
            item.refuse(f"“{operator}” cannot be asked of “{name}”, which is of type {question.type.value}.", key)
        if operator in {"within", "ahead_within"}:
            return Test(operator, name, days=self.check_days(item, value, key))
        if operator == "below":
            if question.ask_if is not None or not isinstance(value, int) or isinstance(value, bool):
                item.refuse("“below” needs a whole number and a question that is always asked.", key)
            return Test(operator, name, number=value)
        if operator in {"is_date", "no_date", "any_chosen"}:
            if value is not True:
                item.refuse(f"“{operator}” can only be true.", key)
            return Test("in", name, frozenset(question.keys)) if operator == "any_chosen" else Test(operator, name)
        values = self._options(item, question, value, key)
        return Test("in", name, question.keys - values if operator == "is_not" else values)

    def _options(self, item: Item, question: Question, value: Any, key: str) -> frozenset[str | bool]:
        values = value if isinstance(value, list) else [value]
        known: Iterable[str | bool] = (True, False) if question.type == QuestionType.BOOL else question.keys
        for each in values:
            if not any(each is option or (isinstance(each, str) and each == option) for option in known):
                item.refuse(f"“{each}” is no option of “{question.key}”.", key)
        return frozenset(values)

    def check_groups(self, item: Item, value: object, key: str) -> list[str]:
        """Return the groups named, refusing an unknown one."""
        names = value if isinstance(value, list) else [value]
        for name in names:
            if name not in self.groups:
                item.refuse(f"“{name}” is no group of modalities. Known: {', '.join(sorted(self.groups))}.", key)
        return [str(name) for name in names]

    def check_days(self, item: Item, value: object, key: str) -> str:
        """Return the name of a day count, refusing one that [days] lacks."""
        if value not in self.days:
            item.refuse(f"“{value}” is not among the [days] of this pack.", key)
        return str(value)


def in_group(condition: Condition, group: str) -> Condition:
    """Return the condition as it stands for one group of modalities, its tests of the group gone."""
    kept = []
    for tests in condition:
        if all(group in test.values for test in tests if test.operator == "group"):
            kept.append(tuple(test for test in tests if test.operator != "group"))
    return tuple(kept)


def questions_of(tests: All, questionnaire: Questionnaire) -> tuple[str, ...]:
    """Return the questions that tests read, in order, each once."""
    keys: dict[str, None] = {}
    for test in tests:
        if test.operator == "self_type":
            keys.update(dict.fromkeys(questionnaire.skin.items))
        elif test.question:
            keys[test.question] = None
    return tuple(keys)


def holds_plainly(condition: Condition, answers: Answers) -> bool:
    """Whether a condition of option tests alone is true of the answers."""
    return any(all(_chosen(test, answers.get(test.question)) for test in tests) for tests in condition)


def _chosen(test: Test, value: object) -> bool:
    chosen = value if isinstance(value, list) else [value]
    return test.operator == "in" and not test.values.isdisjoint(chosen)


# --- compiling ----------------------------------------------------------------------------------------------------

Open = tuple[Question, str]
# Which rows of a table are true, and which undecided: a bit for each.
Pattern = tuple[int, int]
Hit = tuple[int, Pattern]
Run = Callable[[Callable[[str], object], int], tuple[list[Hit], list[Open]]]


def compile_conditions(questionnaire: Questionnaire, tables: Sequence[Sequence[All]], days: Mapping[str, int]) -> Run:
    """Return one function that puts all tables of tests to a set of answers.

    The function takes `answers.get` and the reference day as an ordinal. It returns, for each table of which anything
    is not false, its index with a bit set per true and per undecided row; and the questions that are open, with why.
    Raises AnswerRefused, or TypeError for a list where one option belongs, on a value that is no answer.
    """
    return _Compiler(questionnaire, days).compile(tables)


class _Compiler:
    """Writes the function's text. Values of the pack never enter the text: they are constants passed by name."""

    def __init__(self, questionnaire: Questionnaire, days: Mapping[str, int]) -> None:
        self.questionnaire = questionnaire
        self.days = days
        self.names = {question.key: f"x{index}" for index, question in enumerate(questionnaire.questions)}
        self.constants: dict[str, Any] = {
            "decode": _decode,
            "refuse": _refuse_malformed,
            "unsure_or_open": _unsure_or_open,
            "day": _day,
            "chosen": _chosen_set,
            "nothing": _NOTHING,
        }
        self.lines: list[str] = ["def run(get, on):", " hits = []", " hit = hits.append", " opened = []"]

    def compile(self, tables: Sequence[Sequence[All]]) -> Run:
        asked = [q for q in self.questionnaire.questions if q.key not in {"modality", "reference_date"}]
        alone = {index: key for index, rows in enumerate(tables) if (key := self._only_question(rows))}
        if asked:
            # All at once: a look-up for each is a fifth of the whole.
            names = ", ".join(self.names[question.key] for question in asked)
            self.lines.append(f" {names}, = map(get, {self._constant([question.key for question in asked])})")
        for question in sorted(asked, key=lambda each: each.ask_if is not None):
            self._read(question, {index: tables[index] for index, key in alone.items() if key == question.key})
        self._skin_score()
        self.lines.append(" unsure, unsettled = unsure_or_open(opened) if opened else (False, False)")
        for index, rows in enumerate(tables):
            if index not in alone:
                self.lines.extend(" " + line for line in self._table(index, rows))
        self.lines += [" if len(hits) > 1: hits.sort()", " return hits, opened"]
        text = "\n".join(self.lines)
        exec(compile(text, "<conditions>", "exec"), self.constants)  # noqa: S102  our own text, see the class
        run: Run = self.constants["run"]
        return run

    def _only_question(self, rows: Sequence[All]) -> str:
        """Return the question that is the only one a table reads: its usual answer then skips the whole table."""
        tests = [test for row in rows for test in row]
        keys = {test.question if test.operator in {"in", "within"} else "" for test in tests}
        return keys.pop() if len(keys) == 1 and tests else ""

    def _constant(self, value: object) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def _read(self, question: Question, tables: Mapping[int, Sequence[All]]) -> None:
        name, own = self.names[question.key], self._constant(question)
        indent = " "
        opened = "opened"
        if question.ask_if is not None:
            shown, may = self._applies(question.ask_if)
            well = self._plainly_well_formed(question)
            usual = f"{name} is None or {name} == {Special.NOT_APPLICABLE.value!r} or {well}"
            self.lines += [f" if not ({may}):", f"  if not ({usual}): refuse({own}, {name})"]
            self.lines += [f"  {name} = {_HIDDEN_VALUES[question.type]!r}", " else:"]
            indent, opened = "  ", f"opened if {shown} else []"
        checked = [line for index, rows in tables.items() for line in self._table(index, rows)]
        values = frozenset(value for rows in tables.values() for row in rows for test in row for value in test.values)
        self.lines.extend(indent + line for line in self._decode_lines(question, own, opened, values, checked))

    def _plainly_well_formed(self, question: Question) -> str:
        """Return a cheap test that most answers pass, before the careful one."""
        x = self.names[question.key]
        if question.type == QuestionType.INT:
            return f"{x}.__class__ is int and {question.low} <= {x} <= {question.high}"
        return f"{x} in {self._constant(question.keys)}" if question.type == QuestionType.ENUM else "False"

    def _applies(self, asks: AskIf) -> tuple[str, str]:
        """Return when a question certainly applies, and when it may."""
        if asks.test == "unanswered":
            unanswered = f"{self.names[asks.question]} == {_OPEN!r}"
            return unanswered, unanswered
        test = Test("is_date" if asks.test == "is_date" else "in", asks.question, asks.values)
        return self._true(test), self._possible(test)

    def _decode_lines(
        self, question: Question, own: str, opened: str, values: frozenset[str | bool], checked: list[str]
    ) -> list[str]:
        """Return the lines that decode one answer and put the tables that read it alone (`checked`) to it."""
        x = self.names[question.key]
        slow = f"{x} = decode({own}, {x}, {opened})"
        below = [" " + line for line in checked]
        match question.type:
            case QuestionType.ENUM:
                decode = f"if {x} not in {self._constant(question.keys)}: {slow}"
                quiet = self._constant(question.keys - values)
                return [f"if {x} not in {quiet}:", " " + decode, *below] if checked else [decode]
            case QuestionType.BOOL if checked and values == {True}:
                return [f"if {x} is not False:", f" if {x} is not True: {slow}", *below]
            case QuestionType.BOOL:
                return [f"if {x} is not False and {x} is not True: {slow}", *checked]
            case QuestionType.DATE:
                slow = f"{x} = day({own}, {x}, {opened})"
                never = [f"if {x} == {NEVER!r}: {x} = {_NEVER_DAY}", "else:", " " + slow, *below]
                return never if question.never_allowed else [slow, *checked]
            case QuestionType.MULTI:
                slow = f"{x} = chosen({own}, {x}, {opened})"
                nothing = [f"if {x} == []: {x} = nothing", "else:", " " + slow, *below]
                return nothing if question.none_option else [slow, *checked]
            case QuestionType.INT:
                return [f"if {x}.__class__ is not int or not {question.low} <= {x} <= {question.high}: {slow}"]
            case QuestionType.TEXT:
                return [f"if {x} is not None: {slow}"]

    def _skin_score(self) -> None:
        names = [self.names[key] for key in self.questionnaire.skin.items]
        first = names[0]
        known = f"[x for x in ({', '.join(names)}) if x is not None]"
        self.lines += [
            f" if {first} == {_HIDDEN!r}: low = high = -1",
            f" else: known = {known}; low = sum(known); high = low + 4 * ({len(names)} - len(known))",
        ]

    def _table(self, index: int, rows: Sequence[All]) -> list[str]:
        if len(rows) == 1:
            true, possible = self._both(rows[0])
            return [f"if {possible}: hit(({index}, (1, 0)) if {true} else ({index}, (0, 1)))"]
        lines = ["f = u = 0"]
        for bit, tests in enumerate(rows):
            true, possible = self._both(tests)
            lines += [f"if {possible}:", f" if {true}: f |= {1 << bit}", f" else: u |= {1 << bit}"]
        return [*lines, f"if f or u: hit(({index}, (f, u)))"]

    def _both(self, tests: All) -> tuple[str, str]:
        true = " and ".join(self._true(test) for test in tests) or "True"
        return true, " and ".join(self._possible(test) for test in tests) or "True"

    def _true(self, test: Test) -> str:
        x = self.names.get(test.question, "")
        match test.operator:
            case "in" if self.questionnaire.by_key[test.question].type == QuestionType.MULTI:
                return f"not {x}.isdisjoint({self._constant(test.values)})"
            case "in" if test.values in ({True}, {False}):
                return f"{x} is {True in test.values}"
            case "in":
                return f"{x} in {self._constant(test.values)}"
            case "below":
                return f"({x} is not None and {x} < {test.number})"
            case "within":
                return f"({x} < {_UNKNOWN_DAY} and on - {x} < {self.days[test.days]})"
            case "ahead_within":
                return f"0 <= {x} - on < {self.days[test.days]}"
            case "is_date":
                return f"{_NEVER_DAY} < {x} < {_UNKNOWN_DAY}"
            case "no_date":
                return f"({x} == {_NEVER_DAY} or {x} == {_UNKNOWN_DAY})"
            case "self_type":
                return f"low >= {test.number}"
            case "any_unsure":
                return "unsure"
        raise ValueError(f"Unknown test {test.operator}.")

    def _possible(self, test: Test) -> str:
        x = self.names.get(test.question, "")
        match test.operator:
            case "in" if self.questionnaire.by_key[test.question].type == QuestionType.MULTI:
                return f"not {x}.isdisjoint({self._constant(test.values | _OPEN_SET)})"
            case "in":
                return f"{x} in {self._constant(test.values | _OPEN_SET)}"
            case "below":
                return f"({x} is None or {x} < {test.number})"
            case "within":
                return f"on - {x} < {self.days[test.days]}"
            case "ahead_within":
                return f"({x} == {_UNKNOWN_DAY} or 0 <= {x} - on < {self.days[test.days]})"
            case "is_date":
                return f"{x} > {_NEVER_DAY}"
            case "self_type":
                return f"high >= {test.number}"
            case "any_unsure":
                return "(unsure or unsettled)"
        return self._true(test)


# --- what the compiled function calls -----------------------------------------------------------------------------

_OPEN_VALUES: Mapping[QuestionType, object] = {
    QuestionType.ENUM: _OPEN,
    QuestionType.BOOL: _OPEN,
    QuestionType.INT: None,
    QuestionType.DATE: _UNKNOWN_DAY,
    QuestionType.MULTI: _OPEN_SET,
    QuestionType.TEXT: None,
}
_HIDDEN_VALUES: Mapping[QuestionType, object] = {
    QuestionType.ENUM: _HIDDEN,
    QuestionType.BOOL: _HIDDEN,
    QuestionType.INT: _HIDDEN,
    QuestionType.DATE: _NEVER_DAY,
    QuestionType.MULTI: _NOTHING,
    QuestionType.TEXT: None,
}


def _decode(question: Question, value: Any, opened: list[Open]) -> Any:
    """Return the value to compute with where it is not simply an option: note it as open, or refuse it."""
    if value == Special.NOT_APPLICABLE and question.may_not_apply:
        return _HIDDEN_VALUES[question.type]
    if value is None or value == Special.NOT_APPLICABLE:
        why = BLANK
    elif isinstance(value, str) and value in UNKNOWN:
        # Only a patient may be unsure; a clinician who is unsure has not confirmed.
        why = value if question.by_patient else BLANK
    elif value == [] and not question.none_option:
        why = BLANK
    elif value == NEVER and question.type == QuestionType.DATE and not question.never_allowed:
        # "Stopped" and "never" contradict each other: the date is not known.
        why = BLANK
    else:
        checked = check_value(question, value)
        return frozenset(checked) if isinstance(checked, list) else checked
    if not question.optional:
        opened.append((question, why))
    return _OPEN_VALUES[question.type]


def _refuse_malformed(question: Question, value: Any) -> None:
    """Look at an answer to a question that does not apply: it is not used, but it must be an answer."""
    check_value(question, value)


def _day(question: Question, value: Any, opened: list[Open]) -> int:
    day = parse_day(value)
    if day is not None:
        return day.toordinal()
    decoded: int = _decode(question, value, opened)
    return decoded


def _chosen_set(question: Question, value: Any, opened: list[Open]) -> frozenset[str]:
    if value.__class__ is list and value:
        chosen = frozenset(value)
        if chosen <= question.keys:
            return chosen
        raise AnswerRefused(question.key, f"Please choose from: {', '.join(o.key for o in question.options)}.")
    decoded: frozenset[str] = _decode(question, value, opened)
    return decoded


def _unsure_or_open(opened: list[Open]) -> tuple[bool, bool]:
    """Whether any health answer is "not sure", and whether any other is still open."""
    unsure = any(why == Special.NOT_SURE and question.health for question, why in opened)
    return unsure, any(why != Special.NOT_SURE and question.health for question, why in opened)
