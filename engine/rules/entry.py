"""A rule as it was written beside the rule that it became."""

from dataclasses import dataclass

from engine.rules.draft import Draft
from engine.rules.rule import Rule


@dataclass(frozen=True)
class Entry:
    """A rule as it was written and as it was compiled."""

    draft: Draft
    rule: Rule
