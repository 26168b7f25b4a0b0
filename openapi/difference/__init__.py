"""Compare two OpenAPI documents from the point of view of who calls the generated client.

document.py    reads a document, follows its references, lists its operations
shapes.py      says a schema in one way: the shapes that its values may have
rules.py       one rule a keyword: is the new bound wider, narrower, or another?
schemas.py     compares schemas, in the direction that their values travel
operations.py  compares operations: parameters, bodies, answers, security, generated names
"""
