"""The mapping language: expressions, shapes and inline tests, for mappings, programme rows and consent rules alike."""
