"""sdoh-bridge: HL7v2 discharges and CBO records become FHIR R4 referrals, and the answers find their way back."""

__version__ = "0.1.0"
