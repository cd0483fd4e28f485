"""The `addonflow` command: runs, feeds, watches and examines a deployment, and plays the story that proves it works."""
