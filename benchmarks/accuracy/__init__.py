"""How accurate the targets are, beside the forerunner and the best that could be."""
