"""What happens to a request between the receiver and the durable logs.

``prepare`` lays requests side by side and decodes heads; ``stages`` runs mask, enrich, processors and
classify; ``part`` holds what that gave; ``commit`` does the two durable appends; ``flow`` groups requests and answers them.
"""
