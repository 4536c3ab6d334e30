"""`tollhouse demo`: the story of one agent's day, told with real calls through a real stack.

    bank.py      a real MCP server: the tool that moves money
    search.py    a real HTTP tool
    scene.py     a stack of its own in a temporary folder, and the two tools beside it
    agent.py     a small agent: a real MCP client and plain HTTP, both through the gateway
    story.py     the steps, each with the outcome that it announces
    narrator.py  how the story looks in a terminal

The run fails as soon as one step's outcome differs from what it announced.
"""
