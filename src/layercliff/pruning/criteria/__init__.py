"""The criteria, one file each. Every file here is found and registered."""
