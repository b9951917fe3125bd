"""Devices of the user's own: where they are looked for, what is refused, and how a config and the commands use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.config import dump_yaml, load_config, make_config, parse_yaml, user_devices
from nas.errors import NasError
from nas.run_directory import RunDirectory
from nas.stages.targets import make_targets

DEVICES = """
devices:
  - {name: slow_chip, backend: fake, options: {macs_per_s: 1.0e+8}}
  - {name: noisy_chip, backend: fake, options: {noise: 0.2, seed: 3}}
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory and a config directory of the test's own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configs"))


def values(**changes: Any) -> dict[str, Any]:
    return {
        "space": {"name": "mobilenetv3_32"},
        "data": {"source": "digits"},
        "targets": [{"name": "chip", "device": "slow_chip"}],
        **changes,
    }


def write(path: Path, text: str = DEVICES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_nearer_file_wins(tmp_path: Path) -> None:
    assert user_devices() == {}
    write(tmp_path / "configs" / "hwnas" / "devices.yaml")
    assert list(user_devices()) == ["slow_chip", "noisy_chip"]
    write(tmp_path / "here" / "devices.yaml", "devices: [{name: slow_chip, backend: fake, options: {seed: 9}}]")
    assert user_devices()["slow_chip"].options == {"seed": 9}
    assert user_devices()["noisy_chip"].options == {"noise": 0.2, "seed": 3}


def test_config_carries_the_devices_that_its_targets_name(tmp_path: Path) -> None:
    file = write(tmp_path / "here" / "devices.yaml")
    config = make_config(values())
    assert [device.name for device in config.devices] == ["slow_chip"]
    file.unlink()
    assert make_config(parse_yaml(dump_yaml(config), "dump")) == config


def test_target_is_made_of_the_backend_with_both_options(tmp_path: Path) -> None:
    write(tmp_path / "here" / "devices.yaml")
    targets = [{"name": "chip", "device": "noisy_chip", "options": {"seed": 5}}]
    device = make_targets(make_config(values(targets=targets)))[0].device
    assert device.name == "fake"
    assert {"noise": "0.2", "seed": "5"}.items() <= dict(device.info().options).items()


def test_file_can_be_named_in_the_config_and_on_the_command_line(tmp_path: Path) -> None:
    file = write(tmp_path / "boards" / "mine.yaml")
    assert make_config(values(devices=str(file))).devices[0].name == "slow_chip"
    path = write(tmp_path / "run.yaml", "space: {name: mobilenetv3_32}\ndata: {source: digits}\n")
    overrides = [f"devices={file}", "targets=[{name: chip, device: slow_chip}]"]
    assert load_config(path, overrides=overrides).devices[0].options == {"macs_per_s": 1e8}


def test_definitions_in_the_config_need_no_file() -> None:
    own = [{"name": "slow_chip", "backend": "fake"}]
    assert make_targets(make_config(values(devices=own)))[0].device.name == "fake"


def test_changed_definition_is_another_run(tmp_path: Path) -> None:
    file = write(tmp_path / "here" / "devices.yaml")
    RunDirectory.create(tmp_path / "run", make_config(values()))
    (tmp_path / "run" / "profile").mkdir()
    write(file, DEVICES.replace("1.0e+8", "2.0e+8"))
    with pytest.raises(NasError, match=r"devices\.0\.options\.\w+ is 1\S* in the run, 2\S* was given"):
        RunDirectory.create(tmp_path / "run", make_config(values()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devices: [{name: a, backend: fak}]", ["no backend 'fak'", "did you mean 'fake'"]),
        ("devices: [{nam: a, backend: fake}]", ["devices.0.nam", "did you mean 'name'"]),
        ("devices: [{name: a, backend: fake, options: {sed: 1}}]", ["device 'a': options.sed", "did you mean 'seed'"]),
        ("devices: [{name: a, backend: fake, options: {noise: -1}}]", ["device 'a'", "noise is -1"]),
        ("devices: [{name: litert_cpu, backend: fake}]", ["is a device already"]),
        ("devices: [{name: a/b, backend: fake}]", ["use letters"]),
        ("devices: [{name: a, backend: fake}, {name: a, backend: fake}]", ["two devices are named 'a'"]),
        ("devices: {a: fake}", ["'devices' is"]),
        ("boards: []", ["'devices' is missing", "boards"]),
        ("devices: [", ["not valid YAML"]),
        ("devices: &d [*d]", ["nested more than"]),
        ("- a", ["holds list"]),
    ],
)
def test_file_that_is_wrong_is_told(text: str, words: list[str], tmp_path: Path) -> None:
    write(tmp_path / "here" / "devices.yaml", text)
    with pytest.raises(NasError) as caught:
        make_config(values())
    for word in ["devices.yaml", *words]:
        assert word in str(caught.value)


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="cannot be read"):
        make_config(values(devices=str(tmp_path / "none.yaml")))


def test_device_that_nobody_defines_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    write(tmp_path / "here" / "devices.yaml")
    with pytest.raises(NasError, match=r"no device 'slow_ship'.*devices\.yaml"):
        make_config(values(targets=[{"name": "chip", "device": "slow_ship"}]))
    own = [{"name": "slow_chip", "backend": "fake"}] * 2
    with pytest.raises(NasError, match="two devices are named 'slow_chip'"):
        make_config(values(devices=own))


def test_own_devices_are_listed_and_checked(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml")
    for verb in ("list", "check"):
        shown = CliRunner().invoke(app, ["devices", verb, "--file", str(file)])
        assert shown.exit_code == 0, shown.output
        assert "slow_chip" in shown.output and "noisy_chip" in shown.output
    shown = CliRunner().invoke(app, ["devices", "list"])
    assert "stm32f746" in shown.output and "320 KiB" in shown.output
    assert "looked for in devices.yaml" in shown.output
    write(file, "devices: [{name: a, backend: fak}]")
    assert CliRunner().invoke(app, ["devices", "check", "--file", str(file)]).exit_code == 2
