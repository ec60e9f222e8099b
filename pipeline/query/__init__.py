"""Reading back: Loki's query API over the embedded store, and a client for a real Loki."""
