"""Reference results for tandem, computed by transformers, peft and torch.optim."""
