"""What converted scripts begin with: these files are text for them, never imported here."""
