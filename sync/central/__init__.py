"""The discipline database: its tables, its views, its migrations, and who may write what."""
