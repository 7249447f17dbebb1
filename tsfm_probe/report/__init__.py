"""Reports: one table drawn as a page and as pictures."""
