"""What every section of a config is made of."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        raise ValueError(f"{value!r} names a folder; use letters, digits, '-' and '_', at most 64 of them")
    return value


FileName: TypeAlias = Annotated[str, AfterValidator(_file_name)]
"""A name that folders and files may have."""


class Section(BaseModel):
    """Base of every section: immutable; keys that are not known are refused, and so are NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
