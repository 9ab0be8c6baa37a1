"""Hardware profiles: one TOML file each, every constant with its citation."""
