"""Bin codes as map files write them: rows of tokens, in four notations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from camdenoise.io._problems import Problem

# The value of each byte as a hexadecimal digit; 255 where it is none.
_DIGITS = np.full(256, 255, np.uint8)
for _value, _digit in enumerate("0123456789abcdef"):
    _DIGITS[[ord(_digit), ord(_digit.upper())]] = _value


@dataclass(frozen=True)
class BinType:
    """A notation of bin codes."""

    name: str  # As SEMI's map standards write it
    width: int  # Characters of a token
    base: int  # 10 or 16; 0 where the token is the bin itself, a character
    separator: str = ""  # Between the tokens of a row, when written

    def format(self, code: int | str) -> str:
        """Write one bin code as a token."""
        if self.base == 0:
            return str(code)
        return f"{code:0{self.width}d}" if self.base == 10 else f"{code:0{self.width}X}"

    def fits(self, code: int | str) -> bool:
        """Whether the notation can express the code."""
        if self.base == 0:
            # A blank is not a symbol: in a row it may stand between two.
            return isinstance(code, str) and len(code) == 1 and code.isprintable() and code != " "
        return not isinstance(code, str) and 0 <= code < self.base**self.width

    def parse_row(self, text: str, where: str) -> np.ndarray:
        """Read the tokens of one row: int32 codes, or characters for ASCII."""
        if self.base == 0:
            return _parse_letters(text, self.width, where)
        return (
            _parse_decimals(text, where) if self.base == 10 else _parse_hex(text, self.width, where)
        )

    def parse(self, token: str, where: str) -> int | str:
        """Read one bin code; a lettered one may be longer here than in a row."""
        token = token.strip() or token
        if self.base == 16 and token:
            token = token.zfill(self.width)
        row = np.array([token]) if self.base == 0 and token else self.parse_row(token, where)
        if row.size != 1:
            raise Problem(f"{token[:20]!r} is no {self.name} bin code.", where)
        code: int | str = row[0].item()
        return code


BIN_TYPES = {
    "ascii": BinType("Ascii", 1, 0),
    "decimal": BinType("Decimal", 3, 10, " "),
    "hexadecimal": BinType("HexaDecimal", 2, 16),
    "integer2": BinType("Integer2", 4, 16),
}
_BY_WIDTH = {kind.width: kind for kind in BIN_TYPES.values()}


def find_bin_type(name: str | None, examples: Iterable[str], where: str) -> BinType:
    """Find the notation by its name or, where the file gives none, by the length of its codes."""
    if name:
        kind = BIN_TYPES.get(name.lower())
        if kind is None:
            known = [k.name for k in BIN_TYPES.values()]
            raise Problem(f"BinType {name!r} is unknown; known are {known}.", where)
        return kind
    widths = {len(example.strip()) for example in examples} & set(_BY_WIDTH)
    if len(widths) != 1:
        raise Problem("BinType is missing and the bin codes do not tell it. Add it.", where)
    return _BY_WIDTH[widths.pop()]


def _parse_letters(text: str, width: int, where: str) -> np.ndarray:
    if len(text) % width:
        raise Problem(
            f"{len(text)} letters are not a whole number of bin codes of {width}. "
            "Is the row cut short?",
            where,
        )
    if not text:
        return np.array([], dtype=f"<U{width}")
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=f"<U{width}")


def _parse_decimals(text: str, where: str) -> np.ndarray:
    tokens = text.split()
    for column, token in enumerate(tokens):
        if not (token.isascii() and token.isdigit() and len(token) <= 5):
            raise Problem(f"{token[:20]!r} in column {column} is not a decimal bin code.", where)
    return np.array(tokens, dtype="U5").astype(np.int32)


def _parse_hex(text: str, width: int, where: str) -> np.ndarray:
    joined = "".join(text.split())
    digits = _DIGITS[np.frombuffer(joined.encode("ascii", "replace"), np.uint8)]
    if (digits > 15).any():
        place = int(np.argmax(digits > 15))
        raise Problem(
            f"{joined[place]!r} in column {place // width} is not a hexadecimal digit.", where
        )
    if digits.size % width:
        raise Problem(
            f"{digits.size} digits are not a whole number of bin codes of {width}. "
            "Is the row cut short?",
            where,
        )
    powers = 16 ** np.arange(width - 1, -1, -1, dtype=np.int32)
    return digits.reshape(-1, width).astype(np.int32) @ powers


def read_count(value: str | None, name: str, where: str) -> int | None:
    """Read a count from a header; None where it is absent."""
    if value is None or not value.strip():
        return None
    text = value.strip()
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 10):
        raise Problem(f"{name} is {text[:20]!r}, expected a whole number.", where)
    return int(text)
