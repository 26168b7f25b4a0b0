"""What the table of cases is made of: replies, a scripted server, worlds in virtual time, paths.

A case is one behaviour (an answer on the wire, a failure of the network, a cancellation, a clock,
an argument); `paths` runs it on every way to ask for an operation that it concerns.
"""
