"""Dies of the sample files in map_files.SAMPLES, as each format's reader lists them."""

TABLE_COLUMNS = ["lot", "wafer", "x", "y", "bin", "passed"]


DIES_BY_FORMAT = {
    "g85": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 2, 0, 7, False),
        ("L", "W1", 0, 1, 1, True),
        ("L", "W1", 2, 1, 12, None),
    ],
    "e142": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 0, 0, 31, False),
        ("L", "W1", 2, 1, 1, True),
        ("L", "W1", 0, 1, 170, None),
    ],
    "sinf": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 2, 0, 31, False),
        ("L", "W1", 0, 1, 1, True),
        ("L", "W1", 2, 1, 10, False),
    ],
    "klarf12": [
        ("L", "W1", 0, -1, 0, True),
        ("L", "W1", -1, 0, 2, False),
        ("L", "W1", 0, 0, 0, True),
        ("L", "W1", 1, 0, 0, True),
        ("L", "W1", 5, 5, 1, False),
        ("L", "W2", 3, -4, 0, True),
    ],
    "stdf": [
        ("L", "W1", -1, 3, 1, True),
        ("L", "W1", 0, 3, 7, False),
        ("L", "W1", -1, 3, 5, False),
    ],
}


DIES_BY_FORMAT["klarf18"] = DIES_BY_FORMAT["klarf12"][:-1]


# --- one format after the other -------------------------------------------------------------------


def changed_text(text, old, new):
    assert old in text
    return text.replace(old, new)
