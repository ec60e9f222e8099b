"""The composition root: settings become objects, objects become the processes of a running node."""
