"""What a search has judged so far, on disk, so that a killed search goes on as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.candidate import Candidate
from nas.config import Config
from nas.errors import NasError
from nas.files import read_json, reading, write_json
from nas.objective import Problem
from nas.search import Searcher, get_searcher

STORED = ("storage", "study", "shared")
"""Options of a searcher that outlive the run."""


def make_searcher(
    config: Config, rng: np.random.Generator, problem: Problem | None = None, *, judged_by: Sequence[str] = ()
) -> Searcher:
    """The searcher that a config asks for.

    Args:
        config: strategy and space.
        rng: source of the searcher's randomness.
        problem: another than the config's; such a search touches no study in a storage.
        judged_by: names all that results depend on; a study in a storage keeps to it.

    Raises:
        NasError: options that it does not have or cannot use.
    """
    section, wanted = config.search, problem or config.problem
    options = {k: v for k, v in section.options.items() if problem is None or k not in STORED}
    if options.get("storage") is not None:
        options["judged_by"] = hashlib.sha256(json.dumps(judged_by).encode()).hexdigest()[:20]
    space = config.make_space()
    return get_searcher(section.strategy, space, wanted.objectives, wanted.limits, rng=rng, options=options)


class History:
    """``candidates.jsonl``, which grows batch by batch, and ``state.json``, which says how much of it counts.

    Args:
        directory: where the two files are.
        stage: the stage that judges.
    """

    def __init__(self, directory: Path, stage: str = "search") -> None:
        self._stage = stage
        self._rows = directory / "candidates.jsonl"
        self._state = directory / "state.json"

    def resume(self, searcher: Searcher) -> list[Candidate]:
        """Bring a new searcher to where the last whole batch left it; all candidates so far.

        Raises:
            NasError: files that do not belong together, or to this search.
        """
        if not self._state.is_file():
            self._rows.unlink(missing_ok=True)
            # Before anything is asked for: what a study in a storage gets from now on, a killed search asks for again.
            state = searcher.state()
            if "told" in state:
                # A study in a storage may know networks of an earlier search, whose candidates are kept no more.
                state["told"] = ""
                searcher.restore(state)
            write_json(self._state, {"bytes": 0, "searcher": state})
            return []
        size, proposer = self._counted()
        judged = self.judged()
        if self._rows.is_file() and self._rows.stat().st_size > size:
            # A batch that was being written when the process died; it will be judged again, to the same rows.
            os.truncate(self._rows, size)
        try:
            searcher.restore(proposer)
        except NasError as error:
            again = f"to search from the start, delete {self._rows.parent} and run `nas {self._stage}` again"
            raise NasError(f"{self._state}: {error}; {again}") from error
        return judged

    def judged(self) -> list[Candidate]:
        """All candidates of whole batches.

        Raises:
            NasError: files that do not belong together.
        """
        size, _ = self._counted()
        content = self._rows.read_bytes() if self._rows.is_file() else b""
        if not 0 <= size <= len(content):
            raise NasError(
                f"{self._rows} has {len(content)} bytes, {self._state} counts on {size}; "
                f"delete {self._rows.parent} and run `nas {self._stage}` again"
            )
        with reading(self._rows):
            return [Candidate.from_json(json.loads(line)) for line in content[:size].splitlines()]

    def _counted(self) -> tuple[int, dict[str, Any]]:
        """How many bytes count, and the searcher's state after them."""
        state = read_json(self._state)
        with reading(self._state):
            return int(state["bytes"]), dict(state["searcher"])

    def append(self, candidates: Sequence[Candidate], searcher_state: dict[str, Any]) -> None:
        """Keep a batch and the searcher's state after it."""
        self._rows.parent.mkdir(parents=True, exist_ok=True)
        with self._rows.open("ab") as stream:
            for candidate in candidates:
                stream.write(json.dumps(candidate.to_json()).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
            size = stream.tell()
        write_json(self._state, {"bytes": size, "searcher": searcher_state})
