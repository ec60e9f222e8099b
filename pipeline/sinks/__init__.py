"""Where batches go once they are durable: the pump, the sinks and what a sink would not take."""
