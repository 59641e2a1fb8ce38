"""Who does it: one folder per component or edge, with its rules (pure), its settings and its wiring."""
