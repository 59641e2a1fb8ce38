"""Gateway: carries commands to a venue and its reports back."""
