"""Working on databases without models: their own tables, by their catalogues, as one schema for both sides."""
