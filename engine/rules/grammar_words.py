"""The texts that fields of rule files are made of: names, paths, globs, signal types."""

from typing import Final

from engine.model.signal import FOLD_ONLY, SIGNAL_TYPES
from engine.rules.shapes import Anything, Items, Table, Text

IDENTIFIER: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
IDENTIFIER_HINT: Final = "a name of letters, digits and underscores"
LABEL: Final = r"^[A-Za-z0-9_]([A-Za-z0-9_./-]{0,251}[A-Za-z0-9_])?$"
LABEL_HINT: Final = "a label name such as team or example.com/team"

SLUG: Final = Text(
    r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$",
    "up to 63 lower-case letters, digits, dots and dashes",
)
ANY_TEXT: Final = Text(r"^[\s\S]+$", "a text that is not empty")
NAME: Final = Text(IDENTIFIER, IDENTIFIER_HINT)
GLOBS: Final = Items(ANY_TEXT, least=1)
PATH: Final = Text(
    r"^((cluster|namespace|kind|name|workload|node|type|source|subject)|labels\..+"
    r"|signal\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)$",
    "cluster, namespace, kind, name, workload, node, type, source, subject, "
    "labels.NAME or a path such as signal.data.reason",
)
CLOCK_TIME: Final = Text(
    r"^(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$", "a time of day from 00:00 to 24:00"
)

_LENGTH = r"(0|([0-9]+(ms|s|m|h|d|w))+)"
INSTANT: Final = Text(rf"^{_LENGTH}$", "an instant such as 90s, from the start of the test")
INSTANTS: Final = Text(
    rf"^{_LENGTH}(\.\.{_LENGTH}/{_LENGTH})?$",
    "an instant such as 90s, or a range such as 0s..9m/90s",
)

SIGNAL_TYPE: Final = Text(
    choices=SIGNAL_TYPES, noun="signal type", advice="; outside senders use 'alert'"
)
TEST_SIGNAL_TYPE: Final = Text(choices=(*SIGNAL_TYPES, *sorted(FOLD_ONLY)), noun="signal type")

LABELS: Final = Table(ANY_TEXT, LABEL, LABEL_HINT)
PARAMS: Final = Table(Anything(), IDENTIFIER, IDENTIFIER_HINT)
