"""What users say: settings, columns from a rule, presets, the checks of both."""
