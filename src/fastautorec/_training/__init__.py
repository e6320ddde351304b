"""The fit of an autoencoder, whatever the model and the device."""
