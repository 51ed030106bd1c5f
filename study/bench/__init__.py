"""The bench: every denoiser tuned by the same budget, tested on wafers whose parents nobody saw.

One fold tests, one validates, the others train. Patterns of each are planted on backgrounds of the
same, so that no wafer has a part in two of them. docs/bench.md tells the protocol.
"""
