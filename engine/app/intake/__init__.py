"""The intake of a process: where signals wait for the bus, and where some are given up in a flood.

```
watchers, HTTP ──▶ room? ──▶ lane (one a partition) ──▶ allowance? ──▶ bus ──▶ folding
                    │ no: wait, or 503      │ no: shed by pressure        ▲      │
                    ▼                       ▼                             └──────┘ what is folded
```

The order of a cluster's signals is never changed: one that overtook others would move stream time
past them, and make them late. Critical ones come through in time because what is before them is
shed, and because the log itself is kept short while folding cannot keep up.
"""
