"""What a wafer is: maps and collections of them, their dies and zones. No torch, no file."""

from camdenoise.wafers._geometry import grid_positions, polar
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS

__all__ = ["FAIL", "NO_DIE", "PASS", "grid_positions", "polar"]
