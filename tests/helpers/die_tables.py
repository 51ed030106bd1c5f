"""What a table of dies holds: its dies, and what its file says of the wafer."""


def dies(table):
    columns = ["wafer", "x", "y", "bin", "passed"]
    return table[columns].astype(object).to_numpy().tolist()


def notes(table):
    return "; ".join(table.attrs["notes"])


def facts(table):
    """The facts of the only wafer of a table."""
    (wafer,) = table.attrs["wafers"]
    return wafer
