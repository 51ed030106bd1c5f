"""Fixtures of the tests of streams."""

import pytest
from record_batches import some_wafers

from camdenoise.stream import wafer_batch


@pytest.fixture
def wafers():
    """A record batch of wafers."""
    return wafer_batch(*some_wafers())
