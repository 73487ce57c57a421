"""Writes every dashboard to deploy/grafana/dashboards."""

from deploy.dashboards.files import FOLDER, contents

for name, content in contents().items():
    (FOLDER / name).write_text(content)
    print(FOLDER / name)
