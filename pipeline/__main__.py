"""``python -m pipeline`` is ``headrig``."""

from pipeline.cli import main

main()
