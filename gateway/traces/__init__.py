"""The traces that are kept in the database: written, bounded, queried, shown."""
