from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from supernet.data import DataSettings
from supernet.errors import DataError, SupernetError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "imagenet"}, "allowed: digits, folder, tar, cifar10, numpy"),
        ({"source": "digits", "path": Path("x")}, "takes no path"),
        ({"source": "tar"}, "needs a path"),
        ({"source": "digits", "size": 0}, "data.size is 0"),
        ({"source": "digits", "limit": -1}, "data.limit is -1"),
        ({"source": "digits", "size": 100_000}, "data.size is 100000; give a number from 1 to 4096"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        DataSettings(**values)


def test_data_errors_are_errors_of_the_layer() -> None:
    assert issubclass(DataError, SupernetError)
