"""Tidy tables out of the tasks' results: what the report shows, and what a reader can check."""
