"""Generated CT slices and scans with exact masks."""
