"""Files, provenance, versions, and what is registered with MMEngine."""
