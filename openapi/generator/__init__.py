"""What generation is made of: document, schemas, annotations, endpoints, package."""
