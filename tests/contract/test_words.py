"""Code, comments and messages do without the words of the list in ``words.py``."""

import pytest
from words import EXCEPTIONS, complaints, find_words


def test_no_word_of_the_list_in_the_code():
    assert not complaints(), "\n".join(complaints())


@pytest.mark.parametrize(
    "text",
    ["lest it fails", "a Rival of", "labelled", "_colours", "initialise", "to mend it",
     "rows\n    # are no class", "set beside", "beside the file", "by custom", "practised",
     "THE CENTRES"],
)  # fmt: skip
def test_words_of_the_list_are_found(text):
    assert list(find_words(text))


@pytest.mark.parametrize(
    "text",
    ["recommend", "arrival", "optimistic", "analysis", "nicest", "there is no file", "amended",
     "it is no longer there", "color='grey'", "a die beside another", "otherwise", "parameters"],
)  # fmt: skip
def test_words_like_them_are_not(text):
    assert not list(find_words(text))


def test_line_is_counted_from_one():
    assert [line for line, _, _ in find_words("a\nb\ncatalogue")] == [3]


def test_exceptions_have_a_reason():
    assert all(EXCEPTIONS.values())
