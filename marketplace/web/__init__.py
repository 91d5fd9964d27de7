"""What the web server needs of every page and every route."""
