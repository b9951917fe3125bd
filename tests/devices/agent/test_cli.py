from __future__ import annotations

import json
from pathlib import Path

import pytest

from devices import DeviceError
from devices.agent import cli

WORDS = "correct-horse-battery-staple"


def refused(*arguments: object) -> str:
    with pytest.raises(DeviceError) as error:
        cli.run(["serve", "--device", "fake", *map(str, arguments)])
    return str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "a token is needed"),  # noqa: S104 (refused)
        (["--device", "toaster"], "no device 'toaster' to serve; there are"),
        (["--device", "remote"], "no device 'remote' to serve"),
        (["--port", "70000"], "0 to 65535"),
        (["--disk-mb", "0"], "at least 1"),
        (["--token-file", "no/such/file"], "cannot read the token file no/such/file"),
        (["--certificate", "c.pem"], "give both"),
        (["--certificate", "c.pem", "--key", "k.pem"], "cannot use the certificate c.pem"),
        (["--devices", "no/such/file"], "cannot read no/such/file"),
    ],
)
def test_what_cannot_be_served_is_refused(arguments: list[str], message: str, tmp_path: Path) -> None:
    assert message in refused("--directory", tmp_path / "agent", *arguments)
    assert not (tmp_path / "agent").exists()


def test_files_at_home_are_understood_also_where_the_shell_leaves_the_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for option in ("--token-file", "--devices"):
        assert f"{tmp_path}/none" in refused(f"{option}=~/none")


def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(WORDS)
    token.chmod(0o644)
    assert f"chmod 600 {token}" in refused("--token-file", token)
    token.chmod(0o600)
    assert cli.read_token(token) == WORDS
    token.write_text("short\n")
    assert "16 or more" in refused("--token-file", token, "--directory", tmp_path / "agent")


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        "{}",
        '{"devices": 1}',
        '{"devices": [{"name": "a"}]}',
        '{"devices": [{"name": "a/b", "backend": "fake"}]}',
        '{"devices": [{"name": "a", "backend": "fake", "options": 1}]}',
        '{"devices": [{"name": "a", "backend": "remote"}]}',
    ],
)
def test_a_file_that_lists_no_devices_is_refused_with_an_example(content: str, tmp_path: Path) -> None:
    (tmp_path / "devices.json").write_text(content)
    assert '"backend": "onnxruntime_cpu"' in refused("--devices", tmp_path / "devices.json")


def test_check_tells_every_device_that_would_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "quick", "backend": "fake", "options": {"macs_per_s": 1e12}}, {"name": "slow", "backend": "fake"}]
    (tmp_path / "devices.json").write_text(json.dumps({"devices": rows}))
    cli.main(["check", "--devices", str(tmp_path / "devices.json")])
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["quick", "slow"]
    assert all("yes, roofline 1 on simulated" in line for line in told)


def test_errors_are_one_message_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", "--device", "toaster"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: there is no device 'toaster'")
