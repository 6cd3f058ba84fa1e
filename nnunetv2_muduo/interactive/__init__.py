"""The teachers as tools: whole scans segmented from points or rough masks."""
