"""Documents of the health record as letters carry them: IHE_XDM archives, CDA R2, FHIR R4; see README.md."""
