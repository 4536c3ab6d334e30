"""Answers as CSV, for whoever asks by `?format=csv` or by `Accept: text/csv`.

A whole list is streamed, not a page of it. What cannot be read at all is an error of the common shape, since
the first row is read before the answer begins.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Header, Query
from fastapi.responses import StreamingResponse

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
CSV_TOO: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}

Row = dict[str, Any]


def wants_csv(
    written: Annotated[Literal["json", "csv"] | None, Query(alias="format")] = None,
    accept: Annotated[str, Header(max_length=500)] = "",
) -> bool:
    """Whether CSV is asked for; the query counts before the header."""
    if written is not None:
        return written == "csv"
    return accept.partition(",")[0].partition(";")[0].strip().lower() == "text/csv"


AsCsv = Annotated[bool, Depends(wants_csv)]


async def stream(rows: AsyncIterator[Row], file_name: str) -> StreamingResponse:
    """The rows as a file; the names of the first row's columns stand above it."""
    first = await anext(rows, None)
    headers = {"content-disposition": f'attachment; filename="{file_name}.csv"'}
    return StreamingResponse(_lines(first, rows), media_type=MEDIA_TYPE, headers=headers)


async def each(rows: Iterable[Row]) -> AsyncIterator[Row]:
    """Rows that are all there already."""
    for row in rows:
        yield row


async def _lines(first: Row | None, rest: AsyncIterator[Row]) -> AsyncIterator[str]:
    if first is None:
        return
    yield _line(first) + _line(first.values())
    async for row in rest:
        yield _line(row.values())


def _line(values: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
