"""Documents that people edit: read strictly, with errors that name the line."""
