"""One run folder: its spec, journal, blobs, pictures, winners and history."""
