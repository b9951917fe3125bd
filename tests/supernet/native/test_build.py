from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from search_spaces import get_space
from supernet import Supernet, native
from supernet.native import library
from supernet.native.build import BuildError, compiled

needs_kernels = pytest.mark.skipif(native.unavailable_reason() is not None, reason=native.unavailable_reason() or "")


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for compiled kernels where there are none yet, and a process that has loaded none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library._loaded.cache_clear()
    yield tmp_path / "hwnas"
    library._loaded.cache_clear()


def compiler(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@needs_kernels
def test_kernels_are_compiled_once(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled()
    assert made.parent == fresh
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    assert [path.name for path in fresh.iterdir()] == [made.name]
    before = made.stat().st_mtime_ns
    assert compiled() == made
    assert made.stat().st_mtime_ns == before
    assert compiled("BFLOAT16") != made
    ctypes.CDLL(str(made))


def test_without_a_compiler_it_says_what_to_install(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert native.unavailable_reason() == (
        "there is no C compiler 'no-such-compiler'; install gcc, or name another one in CC"
    )
    assert not fresh.exists()


def test_a_compiler_that_fails_leaves_nothing_behind(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'case "$*" in *--version*) echo 1;; *) echo "unknown option -fopenmp" >&2; exit 1;; esac'
    monkeypatch.setenv("CC", compiler(tmp_path / "bad-cc", script))
    with pytest.raises(BuildError, match="bad-cc could not compile the kernels: unknown option -fopenmp"):
        compiled()
    assert list(fresh.iterdir()) == []


def test_a_library_that_cannot_be_loaded_is_a_reason(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo nonsense > "$2"; shift; done'
    monkeypatch.setenv("CC", compiler(tmp_path / "odd-cc", script))
    reason = native.unavailable_reason()
    assert reason is not None
    assert "cannot be loaded" in reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BuildError, match="set XDG_CACHE_HOME"):
        compiled()


def test_a_file_where_the_place_should_be_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hwnas").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BuildError, match="set XDG_CACHE_HOME"):
        compiled()


@needs_kernels
@pytest.mark.parametrize("options", [{"activation": "relu", "squeeze_excite": False}, {}], ids=["relu", "hard swish"])
def test_training_without_kernels_computes_the_same(
    options: dict[str, object], fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = get_space("mobilenetv3_32", options)
    arch = space.sample(np.random.default_rng(0))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, 32, 32, generator=generator).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (8,), generator=generator)
    results = []
    for cc in ("cc", "no-such-compiler"):
        monkeypatch.setenv("CC", cc)
        library._loaded.cache_clear()
        supernet = Supernet(space, seed=0).to(memory_format=torch.channels_last)
        collected: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        F.cross_entropy(supernet(images, arch, collect=collected), labels).backward()
        grads = {name: p.grad for name, p in supernet.named_parameters() if p.grad is not None}
        results.append((grads, collected))
    (ours, our_moments), (theirs, their_moments) = results
    assert ours.keys() == theirs.keys()
    for name, grad in theirs.items():
        # Rounding decides on which side of zero some values fall: here PyTorch differs by 4 % from itself between its
        # two memory layouts. Single operations are held to more.
        assert (ours[name] - grad).abs().max() <= 0.1 * grad.abs().max().clamp_min(1e-3), name
    assert our_moments.keys() == their_moments.keys()
    for name, moments in their_moments.items():
        for mine, other in zip(our_moments[name], moments, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)
