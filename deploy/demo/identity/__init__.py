"""Identity providers of test and demonstration, in the style of the French ones. See README.md."""
