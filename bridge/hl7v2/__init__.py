"""HL7 v2 as it is sent: read, repaired, written. Knows nothing of FHIR, of programmes or of transports."""
