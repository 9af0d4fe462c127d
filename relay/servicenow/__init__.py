"""Writes the scripts that a ServiceNow developer pastes, for the mapping of one integration. Does not read secrets.

- `tables.py`: the ServiceNow tables that the mapping relays.
- `layout.py`: the position of each value in the body; tried with the mapping itself.
- `signing.py`: how a script authenticates its posts.
- `guide.py`: the comment at the head of a script, with the steps to set it up.
- `script.py`: combines all of this with the parts in `js/` (ECMAScript 5). There, a line `//= name` is a placeholder for
  another part.
"""

from __future__ import annotations

from relay.servicenow.guide import When
from relay.servicenow.script import Script, ScriptOptions, write_script
from relay.servicenow.signing import KINDS

__all__ = ["KINDS", "Script", "ScriptOptions", "When", "write_script"]
