"""What every stage works with: the run directory, its config, and what follows from them, made when first needed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.config import Config
from nas.errors import NasError
from nas.export import STANDARD_VARIANTS
from nas.files import read_json, reading, write_json
from nas.ledger import Ledger
from nas.progress import Progress
from nas.run_directory import RunDirectory
from nas.stages.models import ModelFiles, Variant
from nas.stages.targets import Target, make_targets
from search_spaces import Architecture, SearchSpace
from supernet import DataError, SubnetEvaluator, compute_deterministically, load_supernet, weights_digest
from supernet.data import (
    ImageData,
    Preprocessing,
    Split,
    load_images,
    load_split,
    make_split,
    measure_preprocessing,
    save_split,
)

_INT8_IMAGES = 128


class Context:
    """The surroundings of a stage.

    Args:
        run: run directory, held by this process.
        progress: listener.
        config: the run's, with what does not decide on its weights changed; as it is if left out.
    """

    def __init__(self, run: RunDirectory, progress: Progress, config: Config | None = None) -> None:
        self.run = run
        self.progress = progress
        self.config: Config = config or run.config
        # Sums are added up in another order with another number of threads, and a resumed run must not differ.
        torch.set_num_threads(self.config.threads)
        compute_deterministically()

    def path(self, *parts: str) -> Path:
        """A place in the run directory."""
        return self.run.path.joinpath(*parts)

    def rng(self, *purpose: str | int) -> np.random.Generator:
        """Source of randomness for one purpose: the same in every process of this run."""
        words = [part if isinstance(part, int) else zlib.crc32(part.encode()) for part in purpose]
        return np.random.default_rng([self.config.seed, *words])

    @cached_property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.config.make_space()

    @cached_property
    def images(self) -> ImageData:
        """All images."""
        return load_images(self.config.data)

    @cached_property
    def split(self) -> Split:
        """Which images are for what: made once, then read.

        Raises:
            DataError: the file is damaged, or the images are not those that the run was started with.
        NasError: the file names images that there are not.
        """
        path, section = self.path("split.json"), self.config.split
        if not path.is_file():
            split = make_split(
                self.images.labels,
                validation=section.validation,
                test=section.test,
                calibration=section.calibration,
                seed=self.config.seed,
                class_names=self.images.class_names,
            )
            save_split(split, path, self.images.digest)
        found, count = load_split(path, self.images.digest), len(self.images.labels)
        for name in ("train", "validation", "test"):
            part = getattr(found, name)
            if not len(part) or part.min() < 0 or part.max() >= count:
                raise NasError(
                    f"{path} does not divide the run's {count} images ({name} is empty or names others); restore it, "
                    "or start a new run"
                )
        return found

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """How pixels become numbers; computed from the training images once, then read."""
        path = self.path("preprocessing.json")
        if not path.is_file():
            write_json(path, measure_preprocessing(self.images.images, self.split.train).to_json())
        with reading(path):
            try:
                return Preprocessing.from_json(read_json(path))
            except DataError as error:
                raise NasError(str(error)) from error

    @property
    def evaluation_images(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the images that calibrate sub-networks, and of those that judge them.

        Both are shuffled: in a folder images lie class by class, and every batch, and any part of the validation
        images, must hold a mixture.
        """
        judged = self.rng("judged").permutation(self.split.validation)[: self.config.search.validation_images]
        return self.rng("calibration").permutation(self.split.calibration), judged

    @cached_property
    def weights(self) -> str:
        """Digest of the weights that training ended with; ``check_weights`` tells whether these are there."""
        trained = self.run.result("train")
        with reading(trained):
            return str(read_json(trained)["weights_sha256"])

    def check_weights(self) -> None:
        """Check that the run's weights are those that training ended with.

        Raises:
            NasError: they are not.
        """
        if self.weights != weights_digest(self.path("train")):
            raise NasError(
                f"{self.run.result('train')} tells of other weights than those that lie beside it; delete it and run "
                "`nas train` again, which goes on from the last checkpoint"
            )

    @cached_property
    def evaluator(self) -> SubnetEvaluator:
        """The trained supernet with the images that calibrate and judge its sub-networks.

        Raises:
            NasError: weights other than those that training ended with.
        """
        self.check_weights()
        device = self.config.train_settings.resolve_device()
        supernet = load_supernet(self.space, self.path("train")).to(device)
        return SubnetEvaluator(supernet, self.images, self.preprocessing, *self.evaluation_images)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The devices to be fast on."""
        return make_targets(self.config, self.progress.note)

    @property
    def target_variants(self) -> tuple[Variant, ...]:
        """Kinds of model files that the targets run."""
        return tuple(dict.fromkeys(target.variant for target in self.targets))

    @property
    def int8_images(self) -> Tensor:
        """Normalised training images, ``(count, 3, height, width)``, that give the ranges of INT8."""
        chosen = self.rng("calibration").permutation(self.split.calibration)[:_INT8_IMAGES]
        return torch.from_numpy(self.preprocessing.normalise(self.images.images[chosen]))

    @property
    def shipped_variants(self) -> tuple[Variant, ...]:
        """Kinds of model files that an exported network has: the standard ones and what the targets run."""
        return tuple(dict.fromkeys((*STANDARD_VARIANTS, *self.target_variants)))

    def model_files(
        self, stage: str, variants: Sequence[Variant], *, with_weights: bool = False, timed_only: bool = False
    ) -> ModelFiles:
        """The model files of a stage."""
        directory = self.path(stage, "models")
        return ModelFiles(
            directory, self.evaluator, self.int8_images, variants, with_weights=with_weights, timed_only=timed_only
        )

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The run's measurements, open for the length of the block; devices are stopped at its end."""
        with Ledger(self.run.ledger_url) as ledger:
            try:
                yield ledger
            finally:
                for target in self.targets:
                    target.device.close()

    def architecture(self, row: Mapping[str, Any]) -> Architecture:
        """The architecture of a row of a JSON file, which holds its choices and its key.

        Raises:
            KeyError, TypeError, ValueError: the row lacks one of them, or the two do not belong together.
            SpaceError: choices that the space does not have.
        """
        arch = Architecture(self.space.name, tuple(row["choices"]))
        self.space.validate(arch)
        if arch.key != row["key"]:
            raise ValueError(f"key {row['key']!r} stands beside choices whose key is {arch.key!r}")
        return arch

    def check_classes(self) -> None:
        """Check that the space's networks tell as many classes apart as the images have.

        Raises:
            NasError: they do not.
        """
        outputs = self.space.lower(self.space.smallest()).output.shape[-1]
        classes = len(self.images.class_names)
        if outputs != classes:
            raise NasError(
                f"the images have {classes} classes and the networks of {self.config.space.name!r} {outputs} outputs; "
                f"set space.options.classes to {classes}"
            )
