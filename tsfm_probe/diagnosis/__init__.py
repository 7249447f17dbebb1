"""Whether a model parrots or sees seasons that are not there, and which heads make it do so."""
