"""What the names and addresses of a configuration may be, and the words for one that is none.

The patterns are those of the services; here they are told to a person who knows no regular expressions.
"""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from gateway.edge import registry
from tollhouse.problems import shown

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_URL = re.compile(r"https?://[!-~]+")


def _id(text: str) -> str:
    return _told(_ID, text, "must be at most 64 letters, digits, - and _, the first a letter or a digit")


def _role(text: str) -> str:
    return _told(_ROLE, text, "must be at most 64 small letters, digits and _, the first a letter")


def _variable(text: str) -> str:
    return _told(_VARIABLE, text, 'must name a variable of the environment, such as "env:BOSS_KEY"')


def _url(value: Any) -> Any:
    """The commonest mistakes in plain words; the services know the rest."""
    if not isinstance(value, str):
        return value
    _told(_URL, value, "must be a URL that begins with http:// or https:// and has no spaces")
    try:
        named = urlsplit(value).port != 0
    except ValueError:
        named = False
    if not named:
        raise ValueError("must be a URL whose port, if it has one, is a number from 1 to 65535")
    return value


def _told(pattern: re.Pattern[str], text: str, words: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{words}, got {shown(text)}")
    return text


Id = Annotated[str, AfterValidator(_id)]
Role = Annotated[str, AfterValidator(_role)]
FromEnvironment = Annotated[str, AfterValidator(_variable)]
HttpUrl = Annotated[registry.HttpUrl, BeforeValidator(_url)]
ServerUrl = Annotated[registry.ServerUrl, BeforeValidator(_url)]
