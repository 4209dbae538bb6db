"""A language model and a vector store for the example: both speak the interfaces of the real ones.

In:    HTTP: `/v1/embeddings` and `/v1/chat/completions` as OpenAI has them, `/collections/help/search` as Qdrant does.
Out:   JSON, the same for the same question.
Never: part of Weir; it stands for systems of somebody else.
"""

import argparse
import math
import re
from typing import Any

from aiohttp import web

PAGES = {
    "Opening hours": "The shop is open from nine to six. On Sundays it is closed.",
    "Returns": "Goods may be returned within thirty days. Please keep the receipt.",
    "Delivery": "Delivery takes two days. It costs nothing above fifty euros.",
}
SIZE = 256


def vector(text: str) -> list[float]:
    """Counts of the words, each at a place of its own."""
    found = [0.0] * SIZE
    for word in re.findall(r"[a-z]+", text.lower()):
        found[sum(ord(letter) * 31 ** place for place, letter in enumerate(word[:4])) % SIZE] += 1
    return found


def likeness(one: list[float], other: list[float]) -> float:
    """The cosine of the angle between two vectors."""
    length = math.hypot(*one) * math.hypot(*other)
    return sum(left * right for left, right in zip(one, other, strict=True)) / length if length else 0.0


async def embeddings(request: web.Request) -> web.Response:
    """What a text means."""
    asked = await request.json()
    return web.json_response({"object": "list", "model": asked["model"], "data": [
        {"object": "embedding", "index": 0, "embedding": vector(asked["input"])}]})


async def search(request: web.Request) -> web.Response:
    """The pages that are nearest."""
    asked = await request.json()
    found = sorted(((likeness(vector(f"{title} {text}"), asked["vector"]), title, text)
                    for title, text in PAGES.items()), reverse=True)
    return web.json_response({"result": [{"score": score, "payload": {"title": title, "text": text}}
                                         for score, title, text in found[:asked["limit"]] if score > 0.1]})


async def complete(request: web.Request) -> web.Response:
    """The first page that it was given; it knows how often it was asked in this chat."""
    messages: list[dict[str, Any]] = (await request.json())["messages"]
    question = messages[-1]["content"]
    if "crash" in question:
        return web.json_response({"error": {"message": "overloaded", "type": "server_error"}}, status=529)
    pages = messages[0]["content"].partition(": ")[2]
    before = sum(message["role"] == "user" for message in messages) - 1
    text = (pages or "I do not know that.") + (f" You have asked {before} times before." if before else "")
    return web.json_response({
        "id": "chatcmpl-1", "object": "chat.completion", "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": len(question.split()), "completion_tokens": len(text.split()),
                  "total_tokens": len(question.split()) + len(text.split())}})


def application() -> web.Application:
    """Both systems."""
    app = web.Application()
    app.router.add_post("/v1/embeddings", embeddings)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_post("/collections/help/search", search)
    return app


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8095)
    web.run_app(application(), host="127.0.0.1", port=arguments.parse_args().port, print=None)
