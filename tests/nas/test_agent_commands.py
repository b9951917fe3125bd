from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from nas.cli.app import app


def test_the_agent_is_served_with_the_options_of_the_bundled_one(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["devices", "serve", "--device", "fake", "--host", "0.0.0.0"])  # noqa: S104 (refused)
    assert told.exit_code == 2
    assert "error: --host 0.0.0.0 can be reached from other machines, so a token is needed" in told.stderr
    assert "--token-file" in CliRunner().invoke(app, ["devices", "serve", "--help"]).output


def test_the_bundle_is_written_and_says_what_to_do_next(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["devices", "bundle", str(tmp_path / "agent.pyz")])
    assert told.exit_code == 0
    assert "python3 agent.pyz check" in told.stdout
    assert (tmp_path / "agent.pyz").stat().st_size > 10_000
    assert "cannot write" in CliRunner().invoke(app, ["devices", "bundle", str(tmp_path / "no" / "agent.pyz")]).stderr
