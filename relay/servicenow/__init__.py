"""The use case: write the scripts that a ServiceNow developer pastes, for one integration's mapping. No secret is read.

- `tables.py`: which of ServiceNow's tables the mapping relays.
- `layout.py`: where the mapping looks for what a script sends; tried on the mapping itself.
- `signing.py`: how a script proves who posts.
- `guide.py`: the comment at the head of a script: what to set up.
- `script.py`: puts all of it together with `js/`, in which the scripts stand as they are pasted (ECMAScript 5). A line
  `//= name` there is a place that another part is put into.
"""

from __future__ import annotations

from relay.servicenow.guide import When
from relay.servicenow.script import Script, Wish, write_script
from relay.servicenow.signing import KINDS

__all__ = ["KINDS", "Script", "When", "Wish", "write_script"]
