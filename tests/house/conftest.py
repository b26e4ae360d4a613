import pytest

from tests.house.inhabited import House


@pytest.fixture
def house(db) -> House:
    return House()
