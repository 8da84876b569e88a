"""What `helm test` runs: the gateway is ready, and with a key it answers a request. Standard library only."""

import json
import os
import urllib.request

GATEWAY, KEY, MODEL = os.environ["GATEWAY"], os.environ.get("API_KEY"), os.environ.get("MODEL", "auto")

with urllib.request.urlopen(f"{GATEWAY}/readyz", timeout=30) as reply:
    print("ready:", reply.read().decode())
if KEY is None:
    print("no smokeTest.apiKey: no completion was asked for")
else:
    body = {"model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": "Say hello."}]}
    request = urllib.request.Request(
        f"{GATEWAY}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        answer = json.load(reply)
    assert answer["choices"][0]["message"]["content"], answer
    print("answered by", answer["model"])
