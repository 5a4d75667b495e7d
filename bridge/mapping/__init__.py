"""Mappings: what a message says, as FHIR resources. Which file, how it runs, what it tests, what it reads."""
