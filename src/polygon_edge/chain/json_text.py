"""JSON text as Go's encoding/json writes it, so that files and answers are the same bytes as the Go client's.

Reading is `document`'s.
"""

from __future__ import annotations

import json

_ESCAPED = str.maketrans({letter: f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"})
"""What Go escapes although JSON would not ask for it."""


def json_text(document: object, indent: int | None = None) -> str:
    """Return `document` as JSON, compact on one line, or indented by `indent` spaces a level.

    Letters outside ASCII stand as they are; half a surrogate pair, which no encoding can carry, becomes U+FFFD.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(document, ensure_ascii=False, indent=indent, separators=separators)
    # These letters occur inside strings only: the syntax of JSON has none of them.
    escaped = text.translate(_ESCAPED)
    return escaped.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
