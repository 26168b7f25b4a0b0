"""Render an OpenAPI document for people, as Markdown. Nothing in it is left out.

text.py        values, cells and tables
schemas.py     a schema in words, and the rows of what is nested in it
page.py        the page: operations, schemas, examples
"""
