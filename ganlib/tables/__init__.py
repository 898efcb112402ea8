"""Results of runs that are too long for a reader, recorded once and loaded by name."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def load(name: str) -> dict[str, Any]:
    """Return the recorded table ``name``: a dict of "about", "code", "rows" and more. Lesson 04.

    Raises ValueError for an unknown name.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.json"))
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(map(repr, known))}, got {name!r}: check the spelling")
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
