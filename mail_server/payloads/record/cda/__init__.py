"""HL7 CDA R2, as the French CI-SIS profiles it: read into typed values, written at level 1 and 3."""
