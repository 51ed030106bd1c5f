"""Find words in the code and the documents that this project does not use.

    python tests/helpers/words.py

Linters and tests run it (`.pre-commit-config.yaml`, `tests/contract/test_words.py`). A reader
whose first language is not English should understand a sentence at first reading. The spelling is
American, as in scikit-learn. This file is the one place of the list.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Word(NamedTuple):
    """A word that is not used, and what to write instead."""

    pattern: str
    instead: str


#: Regular expressions, in any case of letters. A space also matches the end of a line.
WORDS = [
    Word(r"(?<![a-z])lest(?![a-z])", "so that ... not"),
    Word(r"disown", "replace, cancel"),
    Word(r"(?<![a-z])lessons?(?![a-z])", "training wafers, training set"),
    Word(r"(?<![a-z])practis(e|ed|es|ing)(?![a-z])", "train, synthetic wafers"),
    Word(r"(?<![a-z])rivals?(?![a-z])", "baseline, alternative"),
    Word(r"by custom(?![a-z])", "by default, usually"),
    Word(r"(?<![a-z])mend(s|ed|ing)?(?![a-z])", "correct, fix"),
    Word(r"(?<![a-z])(is|are|was|were) no [a-z]+", "is not a"),
    Word(r"(?<![a-z])set beside|(?<![a-z])beside (it|the)", "next to, compared with"),
    # British spellings
    Word(r"labell(ed|ing|er)", "labeled, labeling"),
    Word(r"modell(ed|ing|er)", "modeled, modeling"),
    Word(r"neighbour", "neighbor"),
    Word(r"colour", "color"),
    Word(r"favour", "favor"),
    Word(r"behaviour", "behavior"),
    Word(r"centre", "center"),
    Word(r"(?<![a-z])(light|dark)?greys?(?![a-z])", "gray"),
    Word(r"artefact", "artifact"),
    Word(r"catalogue", "catalog"),
    Word(r"licence", "license"),
    Word(r"analys(e|ed|ing)(?![a-z])", "analyze"),
    Word(r"learnt", "learned"),
    Word(r"(normal|initial|optim|recogn|organ)is(e|ed|es|er|ing|ation)(?![a-z])", "-ize"),
    Word(r"(random|minim|maxim|summar|local)is(e|ed|es|er|ing|ation)(?![a-z])", "-ize"),
    Word(r"(general|standard|special|parameter)is(e|ed|es|er|ing|ation)(?![a-z])", "-ize"),
]

#: Text in which a word is allowed, and why.
EXCEPTIONS = {
    r"there (is|are|was|were) no [a-z]+": "the plain way to say that something is absent",
    r"(is|are|was|were) no (longer|more|less|\w+er than)": "a comparison",
    r"[\"'](light|dark)?greys?[\"']": "names of colors and colormaps in matplotlib",
}


def _compiled(pattern: str) -> re.Pattern:
    """Let a space match the end of a line, also in a comment."""
    return re.compile(pattern.replace(" ", r"[\s#]+"), re.IGNORECASE)


_EXCEPTIONS = [_compiled(pattern) for pattern in EXCEPTIONS]


def find_words(text: str) -> Iterator[tuple[int, str, str]]:
    """Find the words of the list in a text.

    Parameters
    ----------
    text : str
        Source code, or a path.

    Yields
    ------
    tuple of int, str and str
        Line from 1, the word as it stands there, and what to write instead.

    Examples
    --------
    >>> list(find_words("the\\ncatalogue"))
    [(2, 'catalogue', 'catalog')]
    """
    allowed = [match.span() for each in _EXCEPTIONS for match in each.finditer(text)]
    for word in WORDS:
        for match in _compiled(word.pattern).finditer(text):
            if not any(start <= match.start() and match.end() <= end for start, end in allowed):
                found = re.sub(r"[\s#]+", " ", match[0])
                yield text.count("\n", 0, match.start()) + 1, found, word.instead


def files() -> list[Path]:
    """List the code, settings of the study, and documents.

    Not the changelog, which tells old names, and not results, which are made anew by their runs.
    """
    found = [
        file
        for folder in ("camdenoise", "study", "docs")
        for end in ("py", "toml", "md")
        for file in (ROOT / folder).rglob(f"*.{end}")
    ]
    made = [ROOT / name for name in ("study/results", "docs/_build", "docs/api", "docs/gallery")]
    return sorted(
        [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
        + [file for file in found if not any(folder in file.parents for folder in made)]
    )


def complaints() -> list[str]:
    """Say for each word that is found where it is, in the name of a file or in its text."""
    found = []
    for file in files():
        name = file.relative_to(ROOT).as_posix()
        for place, text in ((name, name), ("", file.read_text(encoding="utf-8"))):
            found += [
                f"{place or f'{name}:{line}'}: '{word}' is not used here; write: {instead}"
                for line, word, instead in find_words(text)
            ]
    return found


if __name__ == "__main__":
    found = complaints()
    print("\n".join(found) or "No word of the list in the code and the documents.")
    sys.exit(bool(found))
