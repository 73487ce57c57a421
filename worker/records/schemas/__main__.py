"""`python -m worker.records.schemas`: writes the published schemas again."""

from worker.records.schemas import write_schemas

for path in write_schemas():
    print(path)
