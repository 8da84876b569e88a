"""Policy documents in force: their versions in the database, publishing, rolling back, switching hot."""
