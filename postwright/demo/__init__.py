"""The main job, end to end, on one machine: the sandbox, Postwright, and a table of what really arrived."""
