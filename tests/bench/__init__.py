"""`python -m tests.bench`: our worker on a backlog, beside what others would have written, on the same machine."""
