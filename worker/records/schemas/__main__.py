"""`python -m worker.records.schemas`: write the published schemas anew."""

from worker.records.schemas import write_schemas

for path in write_schemas():
    print(path)
