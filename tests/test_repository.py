"""The repository itself: what it promises to people who clone it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGES = ("nas", "search_spaces", "supernet", "latency_predictors", "devices")


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    """Every file that git knows."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := root / name).is_file()]


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, Requirement]:
    """The lines of constraints.txt by name."""
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def project(root: Path) -> dict[str, object]:
    values: dict[str, object] = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return values


def test_everything_the_project_needs_is_pinned_to_a_version_that_it_allows(
    root: Path, pins: dict[str, Requirement]
) -> None:
    values = project(root)
    wanted = [*values["dependencies"], *values["optional-dependencies"]["dev"]]  # type: ignore[misc, index]
    for requirement in map(Requirement, wanted):
        pin = pins[canonicalize_name(requirement.name)]
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert requirement.specifier.contains(specifier.version), f"{requirement} excludes {pin}"


def test_pins_name_no_place(root: Path, pins: dict[str, Requirement]) -> None:
    text = (root / "constraints.txt").read_text()
    assert "/" not in text and "+" not in text and "@" not in text
    assert all(pin.url is None for pin in pins.values())


def test_no_file_names_a_place_on_somebodys_machine(root: Path, tracked: list[Path]) -> None:
    places = re.compile(r"(?<![\w.~/}])/(?:home|root|Users|work|opt|mnt|srv)/[\w.]")
    found = []
    for path in tracked:
        if path.suffix in (".png", ".gz", ".npz"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if places.search(line):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()}")
    assert found == []


def test_modules_stay_small(root: Path) -> None:
    long = {
        str(path.relative_to(root)): count
        for package in PACKAGES
        for path in (root / package).rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed_and_say_what_is_public(root: Path, package: str) -> None:
    assert (root / package / "py.typed").is_file()
    assert "__all__" in (root / package / "__init__.py").read_text()


def test_the_licence_is_whole(root: Path) -> None:
    text = (root / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_links_in_the_documentation_lead_somewhere(tracked: list[Path]) -> None:
    for path in (path for path in tracked if path.suffix == ".md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|#", link):
                assert (path.parent / link.partition("#")[0]).exists(), f"{path.name} links to {link}"


def test_hooks_and_make_use_the_same_checks(root: Path) -> None:
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    commands = {hook["entry"].split()[0] for repo in hooks for hook in repo["hooks"]}
    makefile = (root / "Makefile").read_text()
    for command in commands:
        assert command.startswith(".venv/bin/")
        assert f"$(BIN)/{Path(command).name}" in makefile


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_plans_what_the_readme_promises(root: Path) -> None:
    def plan(target: str) -> str:
        command = ["make", "--no-print-directory", "-n", target]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout

    assert "nas run experiments/configs/digits.yaml" in plan("demo")
    tests = plan("test")
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"):
        assert tool in tests
    assert "--quick" in plan("bench")


def test_continuous_integration_is_a_script_that_parses(root: Path) -> None:
    script = root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -eu" in script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.slow
def test_a_wheel_holds_every_module_and_the_page(root: Path, tracked: list[Path], tmp_path: Path) -> None:
    """Built from tracked files only, without the network: what `pip install .` installs."""
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path / "source"
    for path in tracked:
        if path.parts[len(root.parts)] in (*PACKAGES, "README.md", "LICENSE", "pyproject.toml"):
            target = source / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*pip, str(source)], check=True)
    (wheel,) = tmp_path.glob("hwnas-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {str(path.relative_to(root)) for path in tracked if path.relative_to(root).parts[0] in PACKAGES}
    assert wanted <= names
    assert {"nas/report/page.html", "nas/report/page.css", "nas/report/page.js"} <= names
    assert not any(name.startswith("tests/") for name in names)
