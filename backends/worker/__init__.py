"""The process that runs one local variant behind the OpenAI protocol.

This file stays empty of imports: the supervisor reads `backends.worker.spec` without loading an engine.
"""
