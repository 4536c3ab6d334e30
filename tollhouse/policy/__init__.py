"""The policy compiler: from the document that a person writes to the bundle that OPA loads.

document, argument_rule, condition   what may stand in a document
reader                               from a file to a document, or every problem of it with its line
warnings                             what a document may say and probably does not mean
compile, folder, revision            from a document, or a folder of Rego, to a bundle and its revision
json_schema                          the decision's contract, as OPA checks Rego against it
commands                             `tollhouse policy`
"""
