"""The reference dashboard: the Plan tab people click, the Owner's requests and invoices, and the back office."""
