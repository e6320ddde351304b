"""How an autoencoder is fitted; knows no model and no device."""
