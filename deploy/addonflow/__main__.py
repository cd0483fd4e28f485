"""Makes `python -m deploy.addonflow` the same as `addonflow`; the command starts its own services this way."""

from deploy.addonflow.main import main

if __name__ == "__main__":
    main()
