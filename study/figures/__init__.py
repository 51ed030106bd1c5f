"""The figures of the study. Each function takes tidy tables or wafers and returns a Figure."""
