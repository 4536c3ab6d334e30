"""What somebody may have meant who wrote a currency that is none."""

from difflib import get_close_matches
from typing import Any

from schemas.currency import EXPONENTS


def meant(value: Any) -> str:
    """`; did you mean USD?` with the codes that resemble this; nothing where none does."""
    code = str(value).strip().upper()
    near = [code] if code in EXPONENTS else get_close_matches(code, sorted(EXPONENTS))
    return f"; did you mean {' or '.join(near)}?" if near else ""
