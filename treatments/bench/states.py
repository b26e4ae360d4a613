"""Words of the benchmarks: on which clock a figure stands, and which way is good."""

from __future__ import annotations

from enum import StrEnum

# Fewer pairs than these say nothing about a machine that does other things too.
FEWEST_PAIRS = 5


class Basis(StrEnum):
    """The clock whose ratio a goal is held against."""

    WALL = "wall"
    CPU = "cpu"


class Sense(StrEnum):
    """TIMES: the app's cost over the floor's. SHARE: the app's rate as a share of the floor's."""

    TIMES = "times"
    SHARE = "share"
