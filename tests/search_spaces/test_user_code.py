from __future__ import annotations

import sys
from pathlib import Path

import pytest

from search_spaces import SpaceError, get_space

MODULE = """
from search_spaces import get_space

def make(classes=3):
    return get_space("mobilenetv3_32", {"classes": classes})

def wrong():
    return 3

number = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module in it, which is forgotten afterwards."""
    (tmp_path / "own_space_module.py").write_text(MODULE)
    (tmp_path / "broken_space_module.py").write_text("raise RuntimeError('half written')")
    (tmp_path / "needy_space_module.py").write_text("import a_package_that_nobody_has")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return tmp_path


def test_a_module_of_the_working_directory_makes_a_space(here: Path) -> None:
    before = list(sys.path)
    space = get_space("own_space_module:make", {"classes": 7})
    assert space.lower(space.smallest()).output.shape == (7,)
    assert sys.path == before, "the working directory is searched for this module only"


def test_a_module_of_a_package_makes_a_space() -> None:
    assert get_space("search_spaces.mcunet:mcunet_32", {"classes": 7}).name.startswith("mcunet_32-")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_space_module:make",
            "no module 'no_such_space_module': no_such_space_module.py is not in .*; run from",
        ),
        ("search_spaces.nothing:make", "no module 'search_spaces.nothing'"),
        ("own_space_module:mke", "has no function 'mke'; did you mean 'make'"),
        ("own_space_module:number", "has no function 'number'"),
        ("own_space_module:wrong", "makes a int; it must return a SearchSpace"),
        ("broken_space_module:make", "fails while it is imported .RuntimeError: half written"),
        ("needy_space_module:make", "cannot be imported: No module named 'a_package_that_nobody_has'"),
        ("../evil:make", "names no code; write it as 'module:factory'"),
        ("own_space_module:", "names no code"),
        ("own_space_module:make()", "names no code"),
    ],
)
def test_what_cannot_be_found_is_told(here: Path, name: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space(name)


def test_options_that_the_factory_does_not_have_are_told(here: Path) -> None:
    with pytest.raises(SpaceError, match=r"space\.options\.colour: space 'own_space_module:make' has no such option"):
        get_space("own_space_module:make", {"colour": 1})


def test_names_without_a_colon_import_nothing(here: Path) -> None:
    with pytest.raises(SpaceError, match=r"no space 'own_space_module'; .*'module:factory'"):
        get_space("own_space_module")
    assert "own_space_module" not in sys.modules
