"""A lot as a whole: a tidy row for each wafer, what its yield is lost to, chance or not."""

from camdenoise.lots._loss import pattern_loss, yield_loss
from camdenoise.lots._randomness import RandomnessTest, spatial_randomness_test
from camdenoise.lots._summary import lot_summary

__all__ = ["RandomnessTest", "lot_summary", "pattern_loss", "spatial_randomness_test", "yield_loss"]
