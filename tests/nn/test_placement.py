from __future__ import annotations

import pytest

from parlando.core.errors import ConfigError
from parlando.nn.placement import Placement


@pytest.mark.parametrize(
    ("device", "dtype", "message"),
    [("gpu", None, "no device 'gpu'"), ("cuda:77", None, "no device 'cuda:77'"), (None, "int8", "no dtype 'int8'")],
)
def test_a_place_that_is_not_there_is_refused(device, dtype, message):
    with pytest.raises(ConfigError, match=message):
        Placement.choose(device, dtype)
