"""CSV and TSV as people have them: delimiters, encodings, headers, layouts by name, broken quotes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tools.feed.table_rows import ACME, read
from worker.errors import InputFileError
from worker.payloads.payload import FieldPaths
from worker.tools.feed.layouts import LAYOUTS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"stream,text\nacme,great\n"),
        ("a.csv", b"stream;text\nacme;great\n"),
        ("a.csv", b"stream\ttext\nacme\tgreat\n"),
        ("a.csv", b"stream|text\r\nacme|great\r\n"),
        ("a.csv", b"stream,text\racme,great\r"),
        ("a.tsv", b"stream\ttext\nacme\tgreat\n"),
        ("a.TAB", b"stream\ttext\nacme\tgreat"),
        ("a.tsv", b"stream,text\nacme,great\n"),
        ("a.csv", b"\xef\xbb\xbfstream,text\nacme,great\n"),
        ("a.csv", "stream;text\r\nacme;great\r\n".encode("utf-16")),
        ("a.csv", "stream,text\nacme,great\n".encode("utf-32")),
        ("a.csv", b" \n,,\nstream,text\nacme,great\n"),
        ("a.csv", b'stream, text\nacme, "great"\n'),
        ("a.csv", b'"sep=;"\nstream;text\nacme;great\n'),
        ("a.csv", b'"id, or none";stream;text\n;acme;great\n'),
        ("a.csv", b"id, or none;time, or none;stream;text\n\\N;\\N;acme;great\n"),
    ],
)
def test_a_table_is_read_whatever_its_delimiter_line_ends_and_byte_order_mark(
    tmp_path: Path, name: str, content: bytes
) -> None:
    assert read(tmp_path / name, content) == ([ACME], [])


def test_a_delimiter_that_is_named_is_the_one(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b"stream~text\nacme~great, really\n", delimiter="~")[0] == [
        ACME | {"text": "great, really"}
    ]


def test_a_table_in_another_encoding_is_read_by_its_name_and_else_its_bad_rows_are_left_out(tmp_path: Path) -> None:
    content = "stream,text\nacme,café\nacme,fine\n".encode("cp1252")
    assert read(tmp_path / "a.csv", content, encoding="cp1252")[0] == [ACME | {"text": "café"}, ACME | {"text": "fine"}]
    payloads, (refused,) = read(tmp_path / "a.csv", content)
    assert payloads == [ACME | {"text": "fine"}]
    assert refused.startswith(":2: invalid_utf8: the row is not utf-8; --encoding")


def test_columns_of_a_file_without_header_are_named_and_those_without_name_left_out(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b"7,acme,0,great\n", columns=("id", "stream", "", "text")) == (
        [ACME | {"id": "7"}],
        [],
    )


def test_columns_of_a_header_are_renamed(tmp_path: Path) -> None:
    content = b"asins,reviews.text,stars\nacme,great,5\n"
    assert read(tmp_path / "a.csv", content, columns=("stream=asins", "text=reviews.text")) == (
        [ACME | {"stars": "5"}],
        [],
    )
    with pytest.raises(InputFileError, match=r"a\.csv: line 1: no column is named body; the columns are asins"):
        read(tmp_path / "a.csv", columns=("text=body",))


def test_a_column_lands_where_the_topic_reads_the_field_of_its_name(tmp_path: Path) -> None:
    fields = FieldPaths(stream="asins", text="reviews.text", time="reviews.date")
    content = b"asins,reviews.text,reviews.date,reviews.title\nacme,great,1252800000,T\n"
    assert read(tmp_path / "a.csv", content, fields) == (
        [{"asins": "acme", "reviews": {"text": "great", "date": 1252800000.0}, "reviews.title": "T"}],
        [],
    )


def test_sentiment140_is_read_by_its_name(tmp_path: Path) -> None:
    rows = (
        '"0","1467810369","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","user_a","Awww, that\'s a bummer."\r\n'
        '"4","1467822272","Mon Apr 06 22:22:45 PDT 2009","NO_QUERY","user_c","I LOVE the café!!"\r\n'
    )
    payloads, refused = read(tmp_path / "training", rows.encode("latin-1"), layout=LAYOUTS["sentiment140"])
    assert not refused
    assert payloads[1] == {
        "target": "4",
        "id": "1467822272",
        "time": "2009-04-06T22:22:45-07:00",
        "query": "NO_QUERY",
        "stream": "user_c",
        "text": "I LOVE the café!!",
    }
    with pytest.raises(InputFileError, match="--layout"):
        read(tmp_path / "a.csv", rows.encode("latin-1"))


def test_the_airline_set_is_read_by_its_name(tmp_path: Path) -> None:
    content = (
        b"tweet_id,airline_sentiment,airline,name,text,tweet_created\n"
        b"570306133677760513,neutral,Virgin America,user_e,@VirginAmerica What?,2015-02-24 11:35:52 -0800\n"
        b"570306133677760514,neutral,Virgin America,user_e,@VirginAmerica What?,soon\n"
    )
    (payload, odd), refused = read(tmp_path / "Tweets.csv", content, layout=LAYOUTS["airline"])
    assert not refused
    assert odd["time"] == "soon"
    assert (payload["id"], payload["stream"]) == ("570306133677760513", "Virgin America")
    assert payload["time"] == "2015-02-24T11:35:52-08:00"


@pytest.mark.parametrize(
    ("broken", "lines"),
    [
        (b'acme,"opened', [3]),
        (b'acme,"opened\nacme,"and opened again', [3, 4]),
        (b'acme,"closed" too early', [3]),
        (b'acme,"opened\nwith,"quotes" below', [3, 4]),
    ],
)
def test_a_quote_that_is_not_closed_costs_its_row_and_not_the_rest(
    tmp_path: Path, broken: bytes, lines: list[int]
) -> None:
    after = b"".join(b"acme,after %d\n" % n for n in range(50))
    payloads, refused = read(tmp_path / "a.csv", b'stream,text\nacme,"before"\n' + broken + b"\n" + after)
    assert [int(one.split(":")[1]) for one in refused] == lines
    assert all("quote" in one for one in refused)
    texts = [payload["text"] for payload in payloads if payload["stream"] == "acme"]
    assert texts == ["before", *(f"after {n}" for n in range(50))]


def test_what_is_left_of_a_broken_row_is_no_record(tmp_path: Path) -> None:
    content = b'text,stream\n"one\ntwo\nthree" four,acme\ngreat,acme\n'
    payloads, refused = read(tmp_path / "a.csv", content)
    assert payloads[-1] == ACME
    assert [one.split(":")[1] for one in refused] == ["2", "3"]


def test_a_quote_in_the_middle_of_a_cell_is_a_letter(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b'stream,text\nacme,5" wide and 6" high\n')[0] == [
        ACME | {"text": '5" wide and 6" high'}
    ]


def test_the_separator_that_excel_names_in_the_first_line_is_taken(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b"sep=;\r\nstream;text\r\nacme;great\r\n") == ([ACME], [])


def test_two_columns_of_one_field_are_refused_and_other_names_may_be_twice(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", b"x,stream,text,x\n1,acme,great,2\n")[0] == [{"x": "2", **ACME}]
    with pytest.raises(InputFileError, match="more than one column is named text"):
        read(tmp_path / "b.csv", b"text,stream,text\na,acme,b\n")


def test_a_column_above_the_path_of_a_field_makes_room_for_it(tmp_path: Path) -> None:
    fields = FieldPaths(text="data.text", stream="stream")
    found = read(tmp_path / "a.csv", b"data,data.text,stream\nx,great,acme\n", fields)
    assert found == ([{"data": {"text": "great"}, "stream": "acme"}], [])


def test_quotes_behind_backslashes_are_letters_of_the_cell(tmp_path: Path) -> None:
    content = (
        b'stream,text\nacme,"say \\"hi\\", again"\nacme,"C:\\"\nacme,"two\n\\"lines\\""\nacme,"open \\"\nacme,great\n'
    )
    payloads, refused = read(tmp_path / "a.csv", content)
    assert [one["text"] for one in payloads] == ['say "hi", again', "C:\\", 'two\n"lines"', "open \\", "great"]
    assert refused == []
    payloads, refused = read(tmp_path / "b.csv", b'stream,text\nacme,"say \\"hi\\" and\nacme,great\nacme,great\n')
    assert payloads == [ACME, ACME]
    assert [one.split(":")[1] for one in refused] == ["2"]


def test_a_null_of_a_database_is_an_empty_cell(tmp_path: Path) -> None:
    payloads, (refused,) = read(tmp_path / "a.csv", b"stream,text,time\nacme,great,\\N\nacme,\\N,\\N\n")
    assert payloads == [ACME]
    assert refused.startswith(":3: no_text")


def test_columns_that_a_header_lacks_are_named_also_beside_renamed_ones(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no column is named stream; the columns are a, b"):
        read(tmp_path / "a.csv", b"a,b\nacme,great\n", columns=("stream", "text=b"))


def test_a_header_that_holds_no_text_leads_to_the_options(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"--columns or --layout, or the delimiter with --delimiter"):
        read(tmp_path / "a.csv", b"stream^text\nacme^great\n")
