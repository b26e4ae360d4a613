"""What a benchmark makes of its measurements."""

import pytest

from treatments.bench import timing
from treatments.bench.rules import Cost, Count, Goal, Pair, Ratio, Spread, chosen, quantile, say_seconds, spread
from treatments.bench.states import Basis, Sense
from treatments.bench.timing import Clock, in_turn, once_in_turn


def pair(app_wall, floor_wall, app_cpu=1.0, floor_cpu=1.0) -> Pair:
    return Pair(Cost(app_wall, app_cpu), Cost(floor_wall, floor_cpu))


def ratio(*pairs, **fields) -> Ratio:
    return Ratio(**{"name": "slots", "unit": "look", "floor": "SQL", "pairs": pairs, "units": 10, **fields})


def test_the_ratio_is_the_median_of_the_pairs_ratios_and_not_of_their_sums():
    found = ratio(pair(2, 1), pair(3, 1), pair(100, 10))

    assert found.ratios(Basis.WALL) == Spread(3, 2, 10)


def test_a_share_is_the_rate_of_the_app_over_that_of_the_floor():
    found = ratio(pair(4, 1), pair(2, 1), pair(1, 1), sense=Sense.SHARE)

    assert found.ratios(Basis.WALL) == Spread(0.5, 0.25, 1)


def test_a_goal_is_held_against_the_clock_that_the_figure_names():
    slow_wall = pair(9, 1, app_cpu=1.1, floor_cpu=1)

    assert ratio(slow_wall, goal=Goal(at_most=1.3), basis=Basis.CPU).is_met is True
    assert ratio(slow_wall, goal=Goal(at_most=1.3), basis=Basis.WALL).is_met is False
    assert ratio(slow_wall).is_met is None


def test_a_unit_costs_the_median_run_over_its_units():
    found = ratio(pair(10, 1), pair(30, 2), pair(20, 3))

    assert (found.per_unit("app", Basis.WALL), found.per_unit("floor", Basis.WALL)) == (2, 0.2)


@pytest.mark.parametrize(
    ("goal", "value", "is_met"),
    [
        (Goal(at_most=3), 3, True),
        (Goal(at_most=3), 3.01, False),
        (Goal(at_least=8), 8, True),
        (Goal(at_least=8), 7.9, False),
        (Goal(at_most=0), 0, True),
    ],
)
def test_goals_include_their_limit(goal, value, is_met):
    assert goal.is_met(value) is is_met


def test_a_ratio_tells_machines_everything_it_tells_people():
    found = ratio(pair(2, 1, 4, 1), goal=Goal(at_most=1.3), note="a note")

    assert found.as_dict() == {
        "kind": "ratio",
        "figure": "slots",
        "unit": "look",
        "floor_is": "SQL",
        "sense": "times",
        "basis": "wall",
        "pairs": 1,
        "units": 10,
        "ratio": {"median": 2, "min": 2, "max": 2},
        "ratio_by_clock": {
            "wall": {"median": 2, "min": 2, "max": 2},
            "cpu": {"median": 4, "min": 4, "max": 4},
        },
        "app": {"wall_us": 200_000, "cpu_us": 400_000},
        "floor": {"wall_us": 100_000, "cpu_us": 100_000},
        "goal": {"at_most": 1.3},
        "met": False,
        "note": "a note",
    }
    assert "2.00 x (2.00 to 2.00, wall)" in found.line()
    assert "MISSED (goal <= 1.3)" in found.line()


def test_a_count_says_its_number_and_whether_it_may_be_so():
    found = Count("races.doubles", 0, "slots given twice", Goal(at_most=0))

    assert found.as_dict()["met"] is True
    assert found.line().split() == ["races.doubles", "0", "slots", "given", "twice", "met", "(goal", "<=", "0)"]


def test_nothing_measured_is_an_error_and_not_a_zero():
    with pytest.raises(ValueError, match="Nothing was measured"):
        spread([])
    with pytest.raises(ValueError, match="Nothing was measured"):
        quantile([], 0.5)


def test_a_floor_that_took_no_time_never_makes_the_app_look_good():
    assert ratio(pair(1, 0)).ratios(Basis.WALL).median == float("inf")


def test_quantiles_are_by_nearest_rank():
    hundred = list(range(100, 0, -1))

    assert (quantile(hundred, 0.5), quantile(hundred, 0.99), quantile(hundred, 1.0)) == (51, 100, 100)


@pytest.mark.parametrize(("seconds", "said"), [(2, "2 s"), (0.0125, "12.5 ms"), (17.4e-6, "17.4 us"), (3e-9, "3 ns")])
def test_durations_are_said_in_the_unit_that_suits_them(seconds, said):
    assert say_seconds(seconds) == said


def test_benches_run_in_their_own_order_and_all_of_them_when_none_is_named():
    assert chosen(["races", "screen"], ["screen", "slots", "races"]) == ["screen", "races"]
    assert chosen([], ["screen", "slots"]) == ["screen", "slots"]
    with pytest.raises(ValueError, match=r"There is no bench “speed”\. Choose among: screen, slots\."):
        chosen(["speed"], ["screen", "slots"])


def test_app_and_floor_take_turns(monkeypatch):
    monkeypatch.setattr(timing, "LEAST_SECONDS", 0)
    order: list[str] = []

    pairs = in_turn(lambda: order.append("A"), lambda: order.append("B"), 3, Clock())

    measured = order[-6:]
    assert measured == ["A", "B", "A", "B", "A", "B"]
    assert len(pairs) == 3


def test_short_runs_are_repeated_equally_often_on_both_sides(monkeypatch):
    monkeypatch.setattr(timing, "LEAST_SECONDS", 0.001)
    calls = {"app": 0, "floor": 0}

    def run(side):
        calls[side] += 1

    in_turn(lambda: run("app"), lambda: run("floor"), 5, Clock())

    # One warm-up each, and one run of the floor that tells how often to repeat.
    measured = calls["app"] - 1, calls["floor"] - 2
    assert measured[0] == measured[1]
    assert measured[0] % 5 == 0
    assert measured[0] > 5


def test_sides_that_measure_themselves_are_told_which_pair_it_is():
    told: list[str] = []

    def side(name):
        return lambda number: told.append(f"{name}{number}") or Cost(1, 1)

    once_in_turn(side("a"), side("f"), 2)

    assert told == ["a0", "f0", "a1", "f1"]
