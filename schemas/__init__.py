"""The contracts: everything that crosses a process boundary.

Read in the order of a call's life:

    strict_json   the only reader of JSON that somebody else wrote
    ids           identifiers (UUIDv7) and digests
    currency      ISO 4217 codes and their exponents; the largest amount
    decision      what is asked of policy, and what policy answers
    spend         what an agent may ask of the treasury, and what it answers
    workflow      what an operator may ask about workflows
    warrant       the gateway's signed word to the treasury
    record        what the gateway writes to its journal
    codes         every code that a refusal or an error can carry, with its HTTP status
    events        the registry of events, one JSON Schema a type and version

Nothing here imports from another room of the house.
"""
