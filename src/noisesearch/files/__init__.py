"""Files and formats: JSON, arrays, tensors, pictures, the journal, atomic writes, hubs."""
