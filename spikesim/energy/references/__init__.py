"""System-level measurements: one TOML file each, for context only."""
