"""The analyses that come with the package, one file each; the registry finds them by itself."""
