"""The services of addonflow, and the runtime they stand on."""
