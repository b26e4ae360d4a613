"""What one version of a pack says otherwise than another, rule by rule and field by field, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from patients.candidacy.rules import RANK, Case, Interplay, Pack, Rule, Task
from patients.candidacy.states import Effect
from patients.conditions.rules import Condition, Days
from patients.intake.questionnaire import Question, Questionnaire
from patients.workshop.wording import condition_words, days_words, group_label, plural_days, topic_words

NOTHING = "nothing"
MORE, LESS = "more", "less"


@dataclass(frozen=True)
class Change:
    """One value that differs. `caution` is "more" or "less" where the change plainly makes the rules so, else ""."""

    about: str
    field: str
    before: str
    after: str
    caution: str = ""


_TEXTS = {
    "topic": "Topic",
    "patient_text": "Wording for the patient",
    "rationale": "Rationale",
    "source": "Source",
    "needs_decision": "Still to be decided by the clinic",
}


def difference(old: Pack, new: Pack) -> list[Change]:
    """Return every value in which two packs of rules differ, rules in order; empty for packs that say the same."""
    found = list(_days(old.days, new.days))
    old_rules, new_rules = ({rule.id: rule for rule in pack.rules} for pack in (old, new))
    for key in sorted(old_rules | new_rules):
        found += _rule(old_rules.get(key), new_rules.get(key), old, new)
    found += _table("Task", old.tasks, new.tasks, _TASK)
    found += _table("Advice", {i.key: i for i in old.interplays}, {i.key: i for i in new.interplays}, _ADVICE)
    if old.group_of != new.group_of:
        found.append(Change("Lasers", "Groups", _groups(old), _groups(new)))
    return found


def _days(old: Mapping[str, Days], new: Mapping[str, Days]) -> Iterable[Change]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        label = name.replace("_", " ")
        if before is None or after is None or _is_one(before) or _is_one(after):
            was, now = (days_words(each) if each else NOTHING for each in (before, after))
            yield Change("Day counts", label, was, now, _days_caution(before, after))
            continue
        for group in dict.fromkeys([*before.by_group, *after.by_group]):
            one, other = before.by_group.get(group), after.by_group.get(group)
            if one != other:
                caution = _one_way([other - one]) if one and other else ""
                yield Change(
                    "Day counts", f"{label}, {group_label(group).lower()}", _count(one), _count(other), caution
                )


def _is_one(days: Days) -> bool:
    """Whether all lasers share the number, so that one line says it."""
    return len(set(days.by_group.values())) == 1


def _count(days: int | None) -> str:
    return plural_days(days) if days else NOTHING


def _days_caution(before: Days | None, after: Days | None) -> str:
    if before is None or after is None or set(before.by_group) != set(after.by_group):
        return ""
    return _one_way(after.by_group[group] - count for group, count in before.by_group.items())


def _one_way(steps: Iterable[int]) -> str:
    """Return "more" or "less" where all steps go one way, else ""."""
    signs = {step > 0 for step in steps if step}
    return (MORE if signs.pop() else LESS) if len(signs) == 1 else ""


def _rule(old: Rule | None, new: Rule | None, before: Pack, after: Pack) -> Iterable[Change]:
    rule = new or old
    assert rule is not None
    about = f"{rule.id} {topic_words(rule.topic)}"
    if old is None or new is None:
        if old is None:
            yield Change(about, "The rule", NOTHING, "added", MORE)
        else:
            yield Change(about, "The rule", "there", "removed", LESS)
        return
    if old.off != new.off:
        caution = "" if old.off and new.off else (LESS if new.off else MORE)
        yield Change(about, "In use", _in_use(old), _in_use(new), caution)
    for key, label in _TEXTS.items():
        if getattr(old, key) != getattr(new, key):
            yield Change(about, label, getattr(old, key) or NOTHING, getattr(new, key) or NOTHING)
    if old.shows != new.shows:
        yield Change(about, "Also shows", _keys(old.shows), _keys(new.shows))
    if old.override_only_if != new.override_only_if:
        said = (_condition(each.override_only_if, pack) for each, pack in ((old, before), (new, after)))
        yield Change(about, "May be overridden only if", *said)
    yield from _cases(about, old.cases, new.cases, before, after)


def _in_use(rule: Rule) -> str:
    return f"switched off: {rule.off}" if rule.off else "in use"


def _cases(about: str, old: Sequence[Case], new: Sequence[Case], before: Pack, after: Pack) -> Iterable[Change]:
    for index in range(max(len(old), len(new))):
        where = f"Case {index + 1}: " if max(len(old), len(new)) > 1 else ""
        if index >= len(old):
            yield Change(about, f"{where}the case", NOTHING, _condition(new[index].when, after), MORE)
            continue
        if index >= len(new):
            yield Change(about, f"{where}the case", _condition(old[index].when, before), NOTHING, LESS)
            continue
        for change in _case(about, old[index], new[index], before, after):
            yield Change(change.about, where + change.field, change.before, change.after, change.caution)


def _case(about: str, old: Case, new: Case, before: Pack, after: Pack) -> Iterable[Change]:
    if old.when != new.when:
        yield Change(about, "When", _condition(old.when, before), _condition(new.when, after))
    for group in dict.fromkeys([*before.group_of.values(), *after.group_of.values()]):
        was, now = old.effects.get(group), new.effects.get(group)
        if was != now:
            yield Change(
                about, f"Effect, {group_label(group).lower()}", _effect(was), _effect(now),
                _one_way([_rank(was) - _rank(now)]),
            )  # fmt: skip
    if old.earliest != new.earliest:
        yield Change(about, "Earliest date", _earliest(old), _earliest(new))
    if old.rescreen_when != new.rescreen_when:
        yield Change(about, "Screen again", old.rescreen_when or NOTHING, new.rescreen_when or NOTHING)
    if old.task != new.task:
        yield Change(about, "Task", old.task or NOTHING, new.task or NOTHING)


def _effect(effect: Effect | None) -> str:
    return str(effect.label) if effect else NOTHING


def _rank(effect: Effect | None) -> int:
    return RANK[effect] if effect else len(RANK)


def _earliest(case: Case) -> str:
    return f"{case.earliest.question} + {case.earliest.days}" if case.earliest else NOTHING


def _condition(condition: Condition, pack: Pack) -> str:
    words = condition_words(condition, pack.questionnaire, pack.days)
    return "; or ".join(" and ".join(tests) for tests in words) or NOTHING


def _keys(keys: Iterable[str]) -> str:
    return ", ".join(keys) or NOTHING


def _groups(pack: Pack) -> str:
    return "; ".join(f"{group}: {', '.join(pack.modalities(group))}" for group in dict.fromkeys(pack.group_of.values()))


# --- tables of plain values -------------------------------------------------------------------------------------------

_TASK = {"label": "Label", "text": "Text", "closes_with": "Closes with", "needs_reason": "Needs a reason"}
_ADVICE = {
    "text": "Text",
    "source": "Source",
    "fired_all": "Needs all of",
    "fired_any": "Needs one of",
    "ranks": "Counts effects",
    "groups": "Lasers",
    "at_least": "At least",
    "answers": "Needs answers",
    "tasks": "Tasks",
    "show_group": "Shows beside it",
}
_SKIP = frozenset({"key"})


def questionnaire_difference(old: Questionnaire, new: Questionnaire) -> list[Change]:
    """Return every question, section and score in which two questionnaires differ."""
    labels = {
        each.name: each.name.replace("_", " ").capitalize() for each in fields(Question) if each.name not in _SKIP
    }
    found = _table("Question", old.by_key, new.by_key, labels)
    if list(old.by_key) != list(new.by_key) and set(old.by_key) == set(new.by_key):
        found.append(Change("Questions", "Order", "as it was", "changed"))
    if old.sections != new.sections:
        said = (
            "; ".join(f"{each.title}: {_keys(t for _, t in each.groups)}" for each in q.sections) for q in (old, new)
        )
        found.append(Change("Sections", "Titles and screens", *said))
    if old.skin != new.skin:
        found.append(Change("Skin type", "Score", str(old.skin), str(new.skin)))
    return found


def _table(
    kind: str,
    old: Mapping[str, Task] | Mapping[str, Interplay] | Mapping[str, Question],
    new: Mapping[str, Task] | Mapping[str, Interplay] | Mapping[str, Question],
    labels: Mapping[str, str],
) -> list[Change]:
    found = []
    for key in dict.fromkeys([*old, *new]):
        before, after, about = old.get(key), new.get(key), f"{kind} {key.replace('_', ' ')}"
        if before is None or after is None:
            found.append(Change(about, "The whole", *(("there", "removed") if before else (NOTHING, "added"))))
            continue
        for name, label in labels.items():
            was, now = getattr(before, name), getattr(after, name)
            if was != now:
                found.append(Change(about, label, _plain(was), _plain(now)))
    return found


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (frozenset, set)):
        return _keys(sorted(str(each) for each in value))
    if isinstance(value, Mapping):
        return _keys(f"{key} = {each}" for key, each in value.items())
    if isinstance(value, tuple):
        return _keys(str(getattr(each, "label", each)) for each in value)
    return str(value) if value not in (None, "") else NOTHING
