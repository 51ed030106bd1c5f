"""Changes to a training batch that leave its class alone: symmetries and noise.

Wafers have no preferred orientation that the class names depend on, so all eight symmetries of the
square (the dihedral group D4) are fair. Noise is added die by die, not pixel by pixel: a die that
covers six pixels of the input flips as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from camdenoise.wafers._maps import FAIL, NO_DIE, PASS

#: Of the square.
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


@dataclass(frozen=True)
class Augmentation:
    """What to do to each training batch.

    Attributes
    ----------
    symmetries : bool
        Apply a random element of D4 to each wafer.
    flip_rate : float
        Each wafer draws a rate between 0 and this and flips that share of its dies.
    background : Tensor of bool (m, size, size), or None
        Fails of real background wafers; one, randomly turned and shifted, is added (logical or).
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
