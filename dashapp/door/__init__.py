"""At the door of the server: who asks, how much of it one visitor may use, and who may come in at all."""
