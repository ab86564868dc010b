# Imported, and nothing asked for: adds nothing at all.
{ }
