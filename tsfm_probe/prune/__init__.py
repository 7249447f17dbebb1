"""Making a network smaller: what to cut, what it saves, and how what was lost is learned again."""
