"""Image classification: which one of the classes a picture shows."""
