"""docs/reference/settings.md, made from the settings themselves: `python -m tollhouse.reference`.

With `--check` nothing is written; the exit code says whether the page is what the code says.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from tollhouse.config import is_for_people
from tollhouse.services import SERVICES

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"
HEAD = """\
# Settings

Made from the code by `python -m tollhouse.reference`; a test fails when the two differ.

Every service reads its settings once, at its start, from the environment; a wrong one ends the start with its
name and what is allowed. Settings that end in `_file` name a file (0600) instead of holding a secret. In
[`tollhouse.yaml`](tollhouse-yaml.md) a setting stands in the section of its service, in lower case and
without the prefix:

```yaml
gateway: {upstream_timeout_s: 5}
```

The stack of `tollhouse up` sees to addresses, folders and files of secrets itself: those settings are marked
with *stack* and cannot stand in the file.
"""
LIMITS: dict[type, str] = {
    Ge: "≥ {.ge}",
    Gt: "> {.gt}",
    Le: "≤ {.le}",
    Lt: "< {.lt}",
    MinLen: "at least {.min_length} long",
    MaxLen: "at most {.max_length} long",
}


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_service(name, service.settings_class()) for name, service in SERVICES.items())


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    wanted = page()
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text("utf-8") == wanted else 1
    PAGE.write_text(wanted, "utf-8")
    return 0


def _service(name: str, settings: type[BaseSettings]) -> str:
    prefix = str(settings.model_config["env_prefix"])
    lines = [
        f"\n## {name}\n",
        f"`tollhouse {name}`, variables that begin with `{prefix}`.\n",
        "| setting | type | default | what it says |",
        "|---|---|---|---|",
    ]
    lines += [_row(prefix, field, info) for field, info in settings.model_fields.items()]
    return "\n".join(lines) + "\n"


def _row(prefix: str, name: str, info: FieldInfo) -> str:
    mark = "" if is_for_people(name) else " *stack*"
    said = " ".join(str(info.description or "").split())
    cells = (f"`{prefix}{name.upper()}`{mark}", _type(info), _default(info), said)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(info: FieldInfo) -> str:
    """The type as a person reads it, with its limits."""
    annotation: Any = info.annotation
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if get_origin(annotation) is Literal:
        name = "one of " + ", ".join(get_args(annotation))
    for long, short in (("typing.", ""), ("pathlib.", ""), (" | None", "")):
        name = name.replace(long, short)
    return ", ".join([name, *_limits(info)])


def _limits(info: FieldInfo) -> Iterator[str]:
    for constraint in info.metadata:
        wording = LIMITS.get(type(constraint))
        if wording:
            yield wording.format(constraint)


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "required"
    return "–" if info.default is None else f"`{info.default}`"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
