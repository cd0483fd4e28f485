"""How addonflow is put to work: the `addonflow` command, the container image and the configuration of its servers."""
