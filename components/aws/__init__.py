"""The managed parts on AWS, one component a file; each says what it costs and what breaks without it."""
