"""The steps by which a database of an older hadir becomes one of this version; run by Alembic."""
