"""The local page of `ask.py --serve`: questions, their SQL and results in a browser.

`answers` is what the page asks, `guard` who may ask, `app` the routes, `serve` the server, and
`model_answerer` puts a model and a database behind them.
"""
