"""UNetDenoiser: segment the pattern, learned from wafers with a known truth die by die.

It shares the interface of `CamDenoiser`: `transform` gives maps, `explain` gives reasons.
docs/learned.md compares it with filters.
"""

from camdenoise.learned._unet_denoiser import UNetDenoiser

__all__ = ["UNetDenoiser"]
