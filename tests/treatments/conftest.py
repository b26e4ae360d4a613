"""What the tests of every room of the upper floor may ask for by name."""

from tests.factories.desk import ana, bo, desk, place

__all__ = ["ana", "bo", "desk", "place"]
