from __future__ import annotations

import json
from typing import Any

import pytest

from search_spaces import SpaceError, get_space, space_names
from search_spaces.network_json import network_from_json, network_to_json


@pytest.mark.parametrize("name", space_names())
def test_networks_of_every_space_come_back_equal(name: str) -> None:
    space = get_space(name)
    network = space.lower(space.smallest())
    back = network_from_json(json.loads(json.dumps(network_to_json(network))))
    assert back == network
    assert back.key == network.key


ROWS = json.loads(json.dumps(network_to_json(get_space("nasbench201").lower(get_space("nasbench201").largest()))))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "not a network"),
        ([3], "not a network"),
        ([{**ROWS[0], "kind": "Exec"}], "there is no operation 'Exec'"),
        ([{**ROWS[0], "op": {"code": "x"}}], "unexpected keyword"),
        ([{name: value for name, value in ROWS[0].items() if name != "shape"}], "shape"),
        ([{**ROWS[0], "shape": ["wide"]}], "wide"),
        (ROWS[1:], "starts with its one input node"),
    ],
)
def test_something_else_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        network_from_json(rows)
