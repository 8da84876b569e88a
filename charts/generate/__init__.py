"""Makes the chart's schema, list of values, dashboards and rules: `python -m charts.generate`, or `make generate`.

Values are described once, as typed structs with docstrings; metrics once, in the gateway's own catalogue.
"""
