"""Chat templates: how a conversation becomes the text that a model is trained on and continues."""

from __future__ import annotations

CHAT_TOKENS: dict[str, tuple[str, ...]] = {"chatml": ("<|im_start|>", "<|im_end|>"), "none": ()}
"""Special tokens that a template needs, by its name."""

# ChatML (https://github.com/openai/openai-python/blob/v0.28.1/chatml.md): each message between two tokens that no
# text can spell, its role on the first line. {% generation %} marks what the model itself says, so that
# transformers' apply_chat_template(return_assistant_tokens_mask=True) finds it.
_CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chat_template(name: str) -> str | None:
    """The Jinja text of a template; None for ``none``."""
    return _CHATML if name == "chatml" else None
