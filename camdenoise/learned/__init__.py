"""Denoisers that learn from the dies themselves, by what they have to be told.

`UNetDenoiser` needs the truth die by die, `CamDenoiser` a label per wafer, and
`AutoencoderDenoiser` and `BlindSpotDenoiser` nothing but maps. All share the interface of
`CamDenoiser`: `transform` gives maps, `explain` gives reasons. docs/learned.md compares them.
"""

from camdenoise.learned._autoencoder import AutoencoderDenoiser
from camdenoise.learned._blind_spot import BlindSpotDenoiser
from camdenoise.learned._unet_denoiser import UNetDenoiser

__all__ = ["AutoencoderDenoiser", "BlindSpotDenoiser", "UNetDenoiser"]
