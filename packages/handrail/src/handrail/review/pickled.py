"""States as text, and back: what predictions are made of has no other form, and changes with every version."""

from __future__ import annotations

import base64
import io
import pickle
from typing import Any

# The modules whose classes a state is made of; nothing else is ever made from what was kept.
OF_A_STATE = ("handrail.predict.state", "handrail.effects")


def pickled(value: object) -> str:
    """Return a value as text."""
    return base64.b85encode(pickle.dumps(value)).decode()


def unpickled(text: str) -> Any:
    """Return the value; None when it holds anything but states."""
    try:
        return Restored(io.BytesIO(base64.b85decode(text))).load()
    except (pickle.UnpicklingError, ValueError):
        return None


class Restored(pickle.Unpickler):
    """Makes a state and nothing else, whatever somebody has put into the folder."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module in OF_A_STATE else None
        if not isinstance(found, type) or found.__module__ != module:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a state")
        return found
