"""OpenAI's Realtime protocol: a conversation over one WebSocket."""
