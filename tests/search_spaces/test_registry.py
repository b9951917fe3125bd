from __future__ import annotations

import pytest

from search_spaces import SpaceError, describe_space, get_space, register_space, space_names


def test_unknown_space_names_those_there_are() -> None:
    with pytest.raises(SpaceError, match=r"no space 'lenet'; .*llowed: .*mobilenetv3"):
        get_space("lenet")
    with pytest.raises(SpaceError, match="no space 'lenet'"):
        describe_space("lenet")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(SpaceError, match="registered already"):
        register_space(space_names()[0])(get_space)


def test_options_of_the_wrong_kind_are_shown() -> None:
    with pytest.raises(
        SpaceError, match=r"space\.options\.resolutions is 5; give a list of whole numbers, such as \[16, "
    ):
        get_space("mobilenetv3_32", {"resolutions": 5})
