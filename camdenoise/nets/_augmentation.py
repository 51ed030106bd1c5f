"""Changes to a training batch that leave its class alone: symmetries and noise.

Wafers have no preferred orientation that the class names depend on, so all eight symmetries of the
square (the dihedral group D4) are fair. Noise is added die by die, not pixel by pixel: a die that
covers six pixels of the input flips as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real

import torch

from camdenoise.nets._encoding import encode_maps
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS, WaferMaps, check_wafer_maps

#: Symmetries of the square: four rotations, each as it is and mirrored.
N_SYMMETRIES = 8


def symmetry(images: torch.Tensor, index: int) -> torch.Tensor:
    """Apply one of the eight symmetries of the square to the last two axes."""
    turned = torch.rot90(images, index % 4, (-2, -1))
    return turned.flip(-1) if index >= 4 else turned


def undo_symmetry(images: torch.Tensor, index: int) -> torch.Tensor:
    """Undo `symmetry` of the same index."""
    turned = images.flip(-1) if index >= 4 else images
    return torch.rot90(turned, -(index % 4), (-2, -1))


def random_symmetry(codes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Give each image of a batch (n, size, size) a symmetry of its own."""
    choice = torch.randint(N_SYMMETRIES, (len(codes),), generator=generator)
    turned = torch.empty_like(codes)
    for index in range(N_SYMMETRIES):
        turned[choice == index] = symmetry(codes[choice == index], index)
    return turned


@dataclass(frozen=True, eq=False)
class Augmentation:
    """How training wafers are varied, each batch anew; the class of a wafer stays.

    Parameters
    ----------
    symmetries : bool, default=True
        Apply one of the eight symmetries of the square, drawn at random for each wafer.
    flip_rate : float between 0 and 1, default=0.0
        Largest share of dies to flip between pass and fail; each wafer draws a share up to it.
    background : collection of wafer maps or None, default=None
        Wafers without a pattern. The fails of one of them, rotated and shifted at random, are
        added to half of the training wafers.

    Examples
    --------
    >>> from camdenoise import Augmentation, WaferClassifier
    >>> WaferClassifier(augmentation=Augmentation(flip_rate=0.05))
    WaferClassifier(augmentation=Augmentation(symmetries=True, flip_rate=0.05))
    """

    symmetries: bool = True
    flip_rate: float = 0.0
    background: WaferMaps | None = field(default=None, repr=False)

    def for_size(self, size: int) -> BatchAugmentation:
        """Return the augmentation of batches of encoded wafers, `size` pixels wide.

        Raises
        ------
        ValueError
            For a `flip_rate` that is not a share.
        WaferMapError
            For a background that cannot be read.
        """
        if not isinstance(self.flip_rate, Real) or not 0 <= self.flip_rate <= 1:
            raise ValueError(f"flip_rate must be from 0 to 1, got {self.flip_rate!r}.")
        fails = None
        if self.background is not None:
            fails = encode_maps(check_wafer_maps(self.background), size) == FAIL
        return BatchAugmentation(bool(self.symmetries), float(self.flip_rate), fails)


@dataclass(frozen=True)
class BatchAugmentation:
    """An `Augmentation` for encoded wafers of one size.

    Attributes
    ----------
    symmetries : bool
    flip_rate : float
    background : Tensor of bool (m, size, size), or None
        Fails of background wafers.
    background_share : float
        Share of the wafers that get a background.
    """

    symmetries: bool = True
    flip_rate: float = 0.0
    background: torch.Tensor | None = None
    background_share: float = 0.5

    def __call__(
        self, codes: torch.Tensor, dies: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Augment die codes (n, size, size); `dies` gives each axis's die of pixel (n, 2, size)."""
        return self.turn(self.add_noise(codes, dies, generator), generator)

    def add_noise(
        self, codes: torch.Tensor, dies: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Add backgrounds and flip dies, as far as that is asked for."""
        if self.background is not None:
            codes = self._add_background(codes, dies, generator)
        if self.flip_rate > 0:
            codes = self._flip_dies(codes, dies, generator)
        return codes

    def turn(self, codes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Give each wafer a symmetry of its own, if that is asked for."""
        return random_symmetry(codes, generator) if self.symmetries else codes

    def _add_background(self, codes, dies, generator):
        n, size = len(codes), codes.shape[-1]
        chosen = torch.randint(len(self.background), (n,), generator=generator)
        shift = torch.randint(size, (2,), generator=generator).tolist()
        noise = random_symmetry(self.background[chosen], generator).roll(shift, (-2, -1))
        wanted = torch.rand(n, 1, 1, generator=generator) < self.background_share
        added = _first_pixel_of_each_die(noise, dies) & wanted & (codes == PASS)
        return torch.where(added, FAIL, codes).to(codes.dtype)

    def _flip_dies(self, codes, dies, generator):
        n = len(codes)
        rate = torch.rand(n, 1, 1, generator=generator) * self.flip_rate
        draws = torch.rand(codes.shape, generator=generator)
        flipped = (_first_pixel_of_each_die(draws, dies) < rate) & (codes != NO_DIE)
        return torch.where(flipped, PASS + FAIL - codes, codes).to(codes.dtype)


def _first_pixel_of_each_die(values: torch.Tensor, dies: torch.Tensor) -> torch.Tensor:
    """Spread one pixel's value over its whole die, so that noise comes in dies."""
    batch = torch.arange(len(values))[:, None, None]
    starts = torch.zeros_like(dies)
    changed = dies[..., 1:] != dies[..., :-1]
    starts[..., 1:] = torch.where(changed, torch.arange(1, dies.shape[-1]), 0)
    starts = starts.cummax(-1).values
    return values[batch, starts[:, 0, :, None], starts[:, 1, None, :]]
