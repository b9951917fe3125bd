"""The database of measurements as a config names it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from devices.paths import user_path


def _in_full(given: str) -> str:
    """The URL with a file's path in full: the file stays the same one when the run is gone on with from elsewhere."""
    try:
        url = make_url(given)
    except ArgumentError:  # told when it is opened
        return given
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return given
    return url.set(database=str(user_path(str(url.database)).absolute())).render_as_string(hide_password=False)


LedgerUrl: TypeAlias = Annotated[str, AfterValidator(_in_full)]
"""A database's URL for SQLAlchemy."""
