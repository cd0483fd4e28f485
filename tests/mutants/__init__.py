"""`make mutants`: defects made on purpose, each of which a named test must notice. See README.md beside this file."""
