"""No block of a page goes untested: each has a test that runs it or holds it against the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT, SHELLS, Block, blocks, programs, shell_lines

COMMANDS, EXAMPLES = "tests/unit/docs/test_commands.py", "tests/unit/docs/test_examples.py"
DRAWINGS, SCRIPTS = "tests/unit/docs/test_drawings.py", "tests/integration/docs/test_kafka_scripts.py"
TUTORIAL = "tests/integration/docs/test_tutorial.py::test_each_command_of_the_tutorial_writes_what_the_tutorial_says"
# By language, or by page and language where a page has a test of its own; shell is covered program by program.
BLOCKS = {
    "json": f"{EXAMPLES}::test_json_is_json",
    "toml": f"{EXAMPLES}::test_a_configuration_file_of_the_pages_is_accepted",
    "mermaid": "tests/integration/docs/test_docs_site.py::test_a_browser_draws_every_diagram_of_the_sources",
    "README.md console": f"{EXAMPLES}::test_the_terminal_shows_what_the_readme_says_of_score",
    "README.md python": f"{EXAMPLES}::test_python_of_the_readme_runs_and_gives_what_its_comments_say",
    "README.md text": "tests/unit/demo/test_demo.py::test_the_readme_shows_the_screen_as_it_is",
    "docs/architecture.md text": f"{DRAWINGS}::test_the_drawings_of_the_architecture_name_what_there_is",
    "docs/connect.md console": f"{EXAMPLES}::test_what_the_page_shows_of_payloads_try_is_what_it_prints",
    "docs/connect.md redis": "tests/integration/connect/test_redis_kinds.py"
    "::test_redis_takes_the_user_of_the_page_as_it_is",
    "docs/engine.md text": "tests/unit/benchmarks/test_engine_figures.py::test_the_page_shows_rows_that_are_printed",
    "docs/events.md properties": "tests/integration/docs/test_consumers.py"
    "::test_kafka_connect_passes_each_committed_event_on_once_with_its_fields",
    "docs/events.md sql": f"{EXAMPLES}::test_columns_in_sql_are_fields_of_the_event",
    "docs/tutorial.md console": "tests/integration/docs/test_tutorial.py"
    "::test_the_stack_prints_what_the_tutorial_shows",
    "docs/tutorial.md python": TUTORIAL,
    "docs/tutorial.md text": TUTORIAL,
}
# What only hands something to a program of the same line or block.
OF_THE_SHELL = {"source", "echo", "sed"}
PROGRAMS = {
    "sentiment": f"{COMMANDS}::test_sentiment_takes_the_commands_of_the_pages",
    "make": f"{COMMANDS}::test_make_has_the_targets_of_the_pages",
    "python": f"{COMMANDS}::test_modules_and_tests_of_the_pages_exist",
    "pytest": f"{COMMANDS}::test_modules_and_tests_of_the_pages_exist",
    "pip": f"{COMMANDS}::test_pip_installs_extras_that_this_project_has_from_a_clone",
    "export": f"{COMMANDS}::test_every_variable_of_the_pages_is_that_of_a_setting",
    "curl": "tests/system/records/test_own_topics.py::test_fausts_own_command_runs_the_worker_where_curl_finds_it",
    "docker-compose": "tests/system/deployment/test_compose.py::test_docker_compose_takes_the_commands_of_the_pages",
    "faust": "tests/system/records/test_own_topics.py::test_fausts_own_command_runs_the_worker_where_curl_finds_it",
    "docker": "tests/unit/test_chart.py"
    "::test_the_image_that_the_pages_build_and_push_is_what_the_chart_of_the_pages_pulls",
    "helm": "tests/system/deployment/test_helm_chart.py::test_helm_takes_the_commands_of_the_pages",
    "acl()": f"{SCRIPTS}::test_the_rights_of_the_page_are_what_kafka_then_lists",
    "acl": f"{SCRIPTS}::test_the_rights_of_the_page_are_what_kafka_then_lists",
    "}": f"{SCRIPTS}::test_the_rights_of_the_page_are_what_kafka_then_lists",
    "kafka-console-consumer.sh": "tests/integration/docs/test_consumers.py"
    "::test_the_console_consumer_prints_what_was_committed",
    "kafka-consumer-groups.sh": f"{SCRIPTS}::test_a_script_of_the_pages_succeeds_on_a_broker",
    "kafka-dump-log.sh": f"{SCRIPTS}::test_a_script_of_the_pages_succeeds_on_a_broker",
}


def is_covered(block: Block) -> bool:
    own = f"{block.page} {block.language}" in BLOCKS
    if block.language in SHELLS:
        return block.language == "sh" or own
    return own or block.language in BLOCKS


def test_every_block_of_the_pages_has_a_test() -> None:
    assert [f"{block.page}: {block.language}\n{block.text}" for block in blocks() if not is_covered(block)] == []


def test_every_program_in_a_block_of_the_pages_has_a_test() -> None:
    lines = [(block.page, one) for block in blocks(*SHELLS) for line in shell_lines(block) for one in programs(line)]
    known = OF_THE_SHELL | set(PROGRAMS)
    assert [f"{page}: {one}" for page, one in lines if one and one.split()[0] not in known] == []


@pytest.mark.parametrize("named", sorted({*BLOCKS.values(), *PROGRAMS.values()}))
def test_a_test_of_a_block_exists(named: str) -> None:
    path, _, name = named.partition("::")
    tree = ast.parse(Path(ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
