"""Choose the implementation that encodes ordinary records and events in one step.

Each function takes a table's layout, the caches of an encoder, and the encoder's own method as fallback, and returns a
function that encodes a row. It must return the same bytes as the fallback, or call it: the `Encoder` is the definition.
"""

from .compiled import make_event_encoder, make_record_encoder
from .contract import Caches, EncodeEvent, EncodeRecord, Fallback

__all__ = ["Caches", "EncodeEvent", "EncodeRecord", "Fallback", "make_event_encoder", "make_record_encoder"]
