"""One process searches on a study, whatever the storage; the next may as soon as it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from optuna.study import StudyDirection

from nas.errors import NasError
from nas.search.study_lock import hold, open_storage

PROGRAM = "import sys; from nas.search.study_lock import hold; hold(*sys.argv[1:]); print('held', flush=True); input()"


@contextmanager
def another_process(url: str, study: str) -> Iterator[None]:
    """Another process holds the study for the length of the block, and is killed then."""
    words = [sys.executable, "-c", PROGRAM, url, study]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield
        os.kill(process.pid, signal.SIGKILL)


def check(url: str) -> None:
    with another_process(url, "a"):
        with pytest.raises(NasError, match=r"another process is searching on the Optuna study 'a' .* set evaluators"):
            hold(url, "a")
        hold(url, "b")
    hold(url, "a")
    assert hold(url, "a") is hold(url, "a")


@pytest.mark.parametrize("url", ["sqlite:///{}.sqlite", "journal:{}.log"])
def test_files_are_held_by_one_process_each_study(url: str, tmp_path: Path) -> None:
    check(url.format(tmp_path / "study"))


def test_a_journal_may_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    hold("journal:~/study.log", "at home")
    open_storage("journal:~/study.log").create_new_study([StudyDirection.MINIMIZE], "at home")
    assert (tmp_path / "study.log").is_file()
    assert len(list(tmp_path.glob(".study.log.*"))) == 1


def test_a_database_is_held_by_one_process_each_study(postgresql_url: str) -> None:
    check(postgresql_url)


def test_what_is_in_memory_is_nobody_elses() -> None:
    with another_process("sqlite://", "a"):
        hold("sqlite://", "a")
