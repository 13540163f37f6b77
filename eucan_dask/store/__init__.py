"""The site's store: ingest, edit and open. Import from the module that defines a thing."""
