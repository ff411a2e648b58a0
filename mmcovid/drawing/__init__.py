"""Drawing on slices, of arrays."""
