"""The layout of a PortReport in JSON: its version, and its JSON Schema (draft 2020-12)."""

__all__ = ["FORMAT", "SCHEMA", "VERSION"]

import json
from importlib.resources import files
from typing import Any

SCHEMA: dict[str, Any] = json.loads(
    files("gradproof.porting.report").joinpath("assets/port.schema.json").read_text(encoding="utf-8")
)
"""The JSON Schema of what `PortReport.to_json` writes: every field with its meaning."""

VERSION: int = SCHEMA["properties"]["schema"]["const"]
"""Of the layout. A reader refuses every other one."""

FORMAT: str = SCHEMA["properties"]["format"]["const"]
"""By which a PortReport is told from other JSON."""
