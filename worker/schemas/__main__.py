"""`python -m worker.schemas`: write the published schemas anew."""

from worker.schemas import write_schemas

for path in write_schemas():
    print(path)
