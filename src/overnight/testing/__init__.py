"""What tests of Overnight, and of plug-ins to it, are made with."""
