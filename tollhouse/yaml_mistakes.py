"""What the YAML parser objects to, in the words of somebody who writes a configuration.

The parser tells what it was doing (`context`) and what it met (`problem`), each with a place. Where a thing
begins is more often the line to mend than where the parser gave up.
"""

import re
from typing import Final

import yaml

Mark = tuple[int, int]

_AT_BEGINNING: Final = ("could not find expected ':'", "found unexpected")
_NO_KEY: Final = (
    "no key can stand here: the line is indented too far, the one before it wants ': ' or quotes,"
    " or a text with ': ' in it wants quotes"
)
_ENDED: Final = (
    "the value before this has ended: put all of it in quotes, or what follows on a line of its own"
)
_DIRECTIVE: Final = "a line that begins with % or ... has no place in this file: remove it"
_KNOWN: Final[tuple[tuple[str, str], ...]] = (
    (r"mapping values are not allowed here", _NO_KEY),
    (
        r"while parsing a block mapping, expected <block end>, but found '<block mapping start>'",
        "the indentation is wrong: all keys of one mapping begin in the same column",
    ),
    (
        r"while parsing a block collection, expected <block end>, but found '\?'",
        "a key stands where an item of a list is expected: the indentation is wrong, or '- ' is missing",
    ),
    (
        r"while parsing a block (mapping|collection), expected <block end>, but found '(<block|-)",
        "the indentation is wrong: all lines of one list or mapping begin in the same column",
    ),
    (r"expected <block end>, but found '<scalar>'", "text behind a text in quotes: put all of it in quotes"),
    (r"expected <block end>, but found '([\[{]|<(anchor|alias|tag)>)'", _ENDED),
    (r"mapping keys are not allowed", _ENDED),
    (
        r"but found '(?P<found>[\]},])'",
        "{found} does not belong here: a value before it is missing, or it is one too many",
    ),
    (
        r"while parsing a flow sequence, expected",
        "',' or ']' is missing in the list that begins at line {line}",
    ),
    (
        r"while parsing a flow mapping, expected",
        "',' or '}}' is missing in the mapping that begins at line {line}",
    ),
    (r"while parsing a flow node", "the list or mapping in brackets does not end: ']' or '}}' is missing"),
    (r"could not find expected ':'", "a key wants ': ' behind it; a text of several lines wants quotes"),
    (
        r"quoted scalar, found unexpected",
        "the text in quotes that begins here does not end: a quote is missing",
    ),
    (
        r"found character '(?P<found>.)' that cannot start",
        "a text cannot begin with {found}: put it in quotes",
    ),
    (
        r"found unknown escape character '(?P<found>.)'",
        "\\{found} is no escape in double quotes: write \\\\{found}, or use single quotes",
    ),
    (
        r"expected escape sequence of (?P<found>\d+)",
        "this escape in double quotes wants {found} hexadecimal digits",
    ),
    (r"YAML directive|incompatible YAML|scanning a directive|expected '<document start>'", _DIRECTIVE),
    (r"expected a single document", "a second document begins here: a file has one"),
    (r"sequence entries are not allowed", "a list begins on a line of its own: each of its items with '- '"),
    (r"while scanning a block scalar, expected", "behind | or > nothing may stand but - or + and a number"),
)


def told(error: yaml.MarkedYAMLError) -> tuple[Mark, str]:
    """Where the mistake is, line and column from 1, and what it is."""
    said = ", ".join(part for part in (error.context, error.problem) if part)
    began, met = error.context_mark, error.problem_mark
    mark = (began if said.partition(", ")[2].startswith(_AT_BEGINNING) else met) or met or began
    place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    line = began.line + 1 if began else place[0]
    for pattern, words in _KNOWN:
        if match := re.search(pattern, said):
            return place, words.format(line=line, **match.groupdict())
    return place, f"this is no YAML: {said}"
