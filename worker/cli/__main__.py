"""`python -m worker.cli`: the same as the program `sentiment`."""

from worker.cli import main

main()
