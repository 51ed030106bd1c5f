"""The comparison that the original project set out: architectures, where they look, what it helps.

Its tasks are those of the profiles ``paper`` and ``full``; see docs/study.md.
"""
