"""Which way a wafer lies on its map: notch down where the file says enough.

A map shows the wafer as it is seen with its notch (or flat) at the bottom: row 0 at the top,
column 0 on the left. Files count their coordinates in all directions, so each wafer has an
orientation: how its x and y run along the rows and columns of the map. The coordinates themselves
stay the file's.
"""

from __future__ import annotations

from dataclasses import dataclass

NOTCHES = ("down", "left", "up", "right")
MIRRORS = ("left-right", "up-down")
TURNS = (0, 90, 180, 270)


@dataclass(frozen=True)
class Orientation:
    """How x and y run on a map: one of the eight ways to lay a rectangle on another."""

    swapped: bool = False  # Whether x runs along the rows of the map and y along its columns
    #: Whether the largest coordinate comes first, on the left or at the top.
    x_reversed: bool = False
    y_reversed: bool = False

    def mirror(self, how: str) -> Orientation:
        """Mirror the map left-right or up-down."""
        if (how == "left-right") != self.swapped:
            return Orientation(self.swapped, not self.x_reversed, self.y_reversed)
        return Orientation(self.swapped, self.x_reversed, not self.y_reversed)

    def turn(self, degrees: int) -> Orientation:
        """Turn the map clockwise by a multiple of 90 degrees."""
        turned = self
        for _ in range(degrees // 90):
            # A transposed map that is mirror left-right is turned clockwise.
            transposed = Orientation(not turned.swapped, turned.x_reversed, turned.y_reversed)
            turned = transposed.mirror("left-right")
        return turned

    @property
    def axes(self) -> str:
        """Where x and y count to on the map, such as "x right, y up"."""
        along_x = "down up" if self.swapped else "right left"
        along_y = "right left" if self.swapped else "down up"
        return f"x {along_x.split()[self.x_reversed]}, y {along_y.split()[self.y_reversed]}"


def orient(
    x_right: bool | None,
    y_down: bool | None,
    notch: str | None,
    *,
    mirror: str | None = None,
    rotate: int = 0,
) -> Orientation:
    """Lay a wafer with its notch down, then mirror and turn it as the user asks.

    Examples
    --------
    >>> orient(True, False, "down").axes
    'x right, y up'
    >>> orient(True, True, "left").axes  # turned until the left side is at the bottom
    'x up, y right'
    """
    seen = Orientation(False, x_right is False, y_down is False)
    # Counted clockwise from the bottom, the notch is turned back by as much.
    down = seen.turn((360 - 90 * NOTCHES.index(notch or "down")) % 360)
    return (down.mirror(mirror) if mirror else down).turn(rotate)
