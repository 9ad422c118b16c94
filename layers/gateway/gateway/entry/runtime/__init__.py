"""The streaming Lambda runtime client: starts an ASGI app (or an event handler) and serves it from the Runtime API.

Managed Python on Lambda posts one finished body per invocation, so it cannot stream. `gateway-runtime`, the exec
wrapper in this layer, starts this package in its place with the same interpreter. It uses the standard library and
msgspec, nothing else.

    __main__    environment -> init -> snapshot -> pollers
    handler     what `_HANDLER` may name: an ASGI 3 application or an EventHandler
    lifespan    ASGI startup, once, before the first event
    snapshot    hooks around a SnapStart snapshot
    connection  keep-alive HTTP/1.1 to the Runtime API
    client      its endpoints: next, response, error, init, restore
    stream      one streamed response on its own connection
    event       API Gateway REST event -> ASGI scope and body
    exchange    receive and send of one ASGI call
    invocation  one event: run the app or handler, answer, let it settle
    poller      the loop: next event, serve it, again
    failure     exceptions as log lines and error documents, without their messages

An app that leaves Lambda needs none of this: it is a plain ASGI app.
"""
