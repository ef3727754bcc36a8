"""What ``python -m`` of the package would run."""

raise SystemExit(5)
