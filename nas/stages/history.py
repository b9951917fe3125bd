"""What a search has judged so far, on disk, so that a killed search goes on as if nothing had happened."""

from __future__ import annotations

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
from nas.search import Searcher, get_searcher


def make_searcher(config: Config, rng: np.random.Generator) -> Searcher:
    """The searcher that a config asks for.

    Raises:
        NasError: options that it does not have or cannot use.
    """
    section = config.search
    space = config.make_space()
    return get_searcher(section.strategy, space, config.objectives, config.limits, rng=rng, options=section.options)


class History:
    """``candidates.jsonl``, which grows batch by batch, and ``state.json``, which says how much of it counts.

    Args:
        directory: where the two files are.
    """

    def __init__(self, directory: Path) -> None:
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
            write_json(self._state, {"bytes": 0, "searcher": searcher.state()})
            return []
        state = read_json(self._state)
        with reading(self._state):
            size, proposer = int(state["bytes"]), dict(state["searcher"])
        content = self._rows.read_bytes() if self._rows.is_file() else b""
        if not 0 <= size <= len(content):
            raise NasError(
                f"{self._rows} has {len(content)} bytes, {self._state} counts on {size}; "
                f"delete {self._rows.parent} and run `nas search` again"
            )
        with reading(self._rows):
            judged = [Candidate.from_json(json.loads(line)) for line in content[:size].splitlines()]
        if len(content) > size:
            # A batch that was being written when the process died; it will be judged again, to the same rows.
            os.truncate(self._rows, size)
        try:
            searcher.restore(proposer)
        except NasError as error:
            again = f"to search from the start, delete {self._rows.parent} and run `nas search` again"
            raise NasError(f"{self._state}: {error}; {again}") from error
        return judged

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
