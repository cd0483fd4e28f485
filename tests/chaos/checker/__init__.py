"""What must hold of a campaign's end, whatever happened: named invariants over its history, topics and stores."""
