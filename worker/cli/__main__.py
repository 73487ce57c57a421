"""`python -m worker.cli` runs the program `sentiment`."""

from worker.cli import main

main()
